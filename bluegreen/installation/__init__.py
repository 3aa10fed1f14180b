"""Installing bluegreen itself on a systemd host: what ``deploy/install`` and the package share.

Each version is a virtual environment of its own below ``/opt/bluegreen/versions``, made by the
shell part in ``deploy/``. Which one counts is one link, and the code here moves it.
"""
