"""Whether a browser's console would stay empty: the page's scripts are there, and built."""

from __future__ import annotations

import os
import re
import sys
import urllib.request

from .serving import HOST

LIMIT = 5.0  # seconds
_SCRIPT = re.compile(r'<script src="(/[^"]+)"')


def _get(path: str) -> str:
    url = f"http://{HOST}:{os.environ.get('WEB_PORT', '9081')}{path}"
    with urllib.request.urlopen(url, timeout=LIMIT) as answer:
        return str(answer.read().decode())


def main() -> None:
    """Load the page as a browser does; exits 1 where a script of it is not what it should be."""
    scripts = _SCRIPT.findall(_get("/"))
    if not scripts:
        sys.exit("console: the page names no script")
    for path in scripts:
        if "__" in _get(path):
            sys.exit(f"console: {path} was not built: a name in it is not filled in")
    print(f"console: {len(scripts)} loaded, no errors")


if __name__ == "__main__":
    main()
