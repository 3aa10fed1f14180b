"""``python -m bluegreen``: the same program as the ``bluegreen`` command."""

import sys

from bluegreen.cli import main

if __name__ == "__main__":
    sys.exit(main())
