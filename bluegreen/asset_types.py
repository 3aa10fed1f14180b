"""What browsers fetch for a page besides the page: the media type of each kind of file.

Only files of these kinds are kept for pages of the other slot. So neither a page, of which an old
one must never come to life again, nor a program, a key or a database that lies beside them is among
them; and nginx needs no table of its own to say what a file is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

ASSET_TYPES: Mapping[str, str] = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "css": "text/css",
    "eot": "application/vnd.ms-fontobject",
    "gif": "image/gif",
    "glb": "model/gltf-binary",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "m4a": "audio/mp4",
    "map": "application/json",
    "mjs": "text/javascript",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "ttf": "font/ttf",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xml": "text/xml",
}


def is_asset(path: str) -> bool:
    """Whether the file of this relative path may be kept: of such a kind, and hidden nowhere."""
    parts = path.split("/")
    hidden = any(not part or part.startswith(".") for part in parts) or "\0" in path
    return not hidden and PurePosixPath(path).suffix[1:].lower() in ASSET_TYPES
