"""Secrets that a service prints do not get into the history."""

from __future__ import annotations

import json

from tests.operations.asking import ask, history_of
from tests.stack import Stack

TOKEN = "hunter2-and-more"
URL = "redis://:s3same@cache"
PROBE = """
[[gate.probes]]
service = "api"
command = { run = "/bin/sh -c 'echo $URL; exit 1'" }
"""


async def test_what_a_refused_service_and_its_probe_said_is_kept_without_secrets(
    empty: Stack,
) -> None:
    (empty.root / "token").write_text(f"{TOKEN}\n")
    (empty.root / "variables").write_text(f"URL={URL}\n")
    path = empty.write_app(
        services=("api",), env={"env_file": str(empty.root / "variables")},
        deadline="5s", extra=PROBE,
    )  # fmt: skip
    text = path.read_text()
    run = text.partition("[services.api]\ncommand = ")[2].partition("\n")[0]
    leaky = json.dumps(f"/bin/sh -c 'echo $TOKEN {{{{$URL}}}}; exec {json.loads(run)}'")
    text = text.replace(f"command = {run}", f"command = {leaky}", 1)
    text = text.replace("[env]\n", f'[env]\nTOKEN = {{ file = "{empty.root}/token" }}\n', 1)
    path.write_text(text)
    await empty.serve()
    answer = await empty.cli("deploy", "monitor", "v1")
    assert answer.status == 1, answer.out
    log = empty.layout.app("monitor").logs / "services" / "blue-api.log"
    assert f"{TOKEN} {{{URL}}}" in log.read_text()
    [failed] = await history_of(empty)
    assert "api | *** {***}" in failed["error"]["detail"]
    _, shown = await ask(empty, "GET", "/v1/operations/1")
    said = answer.out + answer.err + json.dumps(shown)
    assert "exit status 1: ***" in said
    for secret in (TOKEN, URL):
        assert secret not in said
        assert secret.encode() not in empty.layout.database.read_bytes()
        wal = empty.layout.database.with_name(f"{empty.layout.database.name}-wal")
        assert secret.encode() not in wal.read_bytes()
