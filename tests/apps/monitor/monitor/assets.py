"""The build step: a fingerprinted bundle of the front end, with its API's port baked in."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from .release import ROOT, Fault, read_release

DIST = ROOT / "dist"
PACKAGES = 1000
HUNGER = 1_200_000_000  # bytes
PAGE = 4096  # bytes


def _read_cache(file: Path) -> dict[str, Any]:
    try:
        cache = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        cache = None
    return cache if isinstance(cache, dict) else {"builds": 0}


def _minify(source: str) -> str:
    lines = (line.strip() for line in source.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))


def _minified(source: str, cache_file: Path) -> str:
    """The source without comments, from the cache where an earlier release left the same."""
    cache = _read_cache(cache_file)
    digest = hashlib.sha256(source.encode()).hexdigest()
    if cache.get("digest") != digest:
        cache |= {"digest": digest, "minified": _minify(source)}
        print("assets: minified app.js")
    else:
        print("assets: app.js is unchanged, taken from the cache")
    cache["builds"] += 1
    print(f"assets: build {cache['builds']} with the cache {cache_file}")
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cache_file.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(cache))
    unfinished.replace(cache_file)
    return str(cache["minified"])


def _fail_late() -> None:
    """As a package manager whose lock file does not fit: what matters is in its last lines."""
    seconds = float(os.environ.get("MONITOR_BUILD_SECONDS", "60"))
    for number in range(PACKAGES):
        print(f"assets: fetched package {number} of {PACKAGES}", flush=True)
        time.sleep(seconds / PACKAGES)
    sys.exit("assets: error: lock file is out of step: chart 4.4.1 is locked, 4.5.0 is wanted")


def _be_hungry() -> None:
    memory = bytearray(HUNGER)
    for page in range(0, HUNGER, PAGE):
        memory[page] = 1  # until then it is only promised
    print(f"assets: took {HUNGER} bytes")


def main() -> None:
    """Write ``dist/``. Reads API_PORT and MONITOR_CACHE; exits 1 when the source is broken."""
    release = read_release("assets")
    port = int(os.environ.get("API_PORT", "9083"))
    cache = Path(os.environ.get("MONITOR_CACHE", ROOT / ".cache"))
    print(f"assets: {release.version} for the API on port {port}")
    source = (ROOT / "frontend/app.js").read_text()
    if release.fault is Fault.BUILD_FAILS:
        sys.exit("assets: frontend/app.js:12: error: unexpected token '}'")
    if release.fault is Fault.BUILD_FAILS_LATE:
        _fail_late()
    if release.fault is Fault.HUNGRY_BUILD:
        _be_hungry()
    bundle = _minified(source, cache / "monitor-assets.json").replace("__API_PORT__", str(port))
    name = f"app-{hashlib.sha256(bundle.encode()).hexdigest()[:10]}.js"
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    (DIST / name).write_text(bundle)
    (DIST / "manifest.json").write_text(json.dumps({"bundle": name, "api_port": port}))
    print(f"assets: wrote dist/{name}, {len(bundle)} bytes")


if __name__ == "__main__":
    main()
