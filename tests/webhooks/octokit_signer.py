"""GitHub's own signer, ``@octokit/webhooks-methods``, in a node that signs line by line."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

_PROGRAM = Path(__file__).with_name("octokit") / "sign.mjs"


def octokit_signatures(secret: str, bodies: list[bytes]) -> list[str]:
    """``X-Hub-Signature-256`` of each body. Blocking, for as long as a node takes to start."""
    lines = "\n".join(
        json.dumps({"secret": secret, "body": base64.b64encode(body).decode()}) for body in bodies
    )
    signing = subprocess.run(
        ["node", str(_PROGRAM)], input=lines, capture_output=True, text=True, check=True, timeout=60
    )
    return signing.stdout.split()
