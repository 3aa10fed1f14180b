"""What is said to one pipe, or one file, stands there in the order in which it was said."""

from __future__ import annotations

import asyncio
import os

from tests.stack import PYTHON, stack
from tests.waiting import PATIENCE

UNBUFFERED = "PYTHONUNBUFFERED"  # which would hide what this is about


async def test_a_refusal_stands_below_the_output_that_led_to_it() -> None:
    async with stack() as built:
        built.write_app(services=("api", "web"))
        await built.serve()
        process = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "bluegreen", "deploy", "v3-build-fails", "--root", str(built.root),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if name != UNBUFFERED},
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 1
        lines = said.decode().splitlines()
        (outcome,) = [i for i, line in enumerate(lines) if line.startswith("monitor: deploy ")]
        assert lines[outcome + 1].startswith("bluegreen: "), lines
        assert lines[-1].startswith("Next: "), lines
