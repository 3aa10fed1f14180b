"""A small server monitor: pages, a JSON API, a metrics stream and a terminal."""

import gc
import os

# aiohttp reads the host's certificates as it is imported, a third of a service's start. None is
# asked for here.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)
os.environ.setdefault("SSL_CERT_DIR", os.devnull)
# What is imported stays: until a service serves, the collector would look at it in vain.
gc.disable()
