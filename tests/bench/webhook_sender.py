"""Sends prepared HTTP requests over connections that are kept, as fast as they are answered.

``python -m tests.bench.webhook_sender ADDRESS FILE CONNECTIONS``: ADDRESS is a port of 127.0.0.1 or
a socket's path, FILE a pickled list of requests as bytes. Prints JSON: seconds of the whole and of
each answer, and how often each status came. A process of its own, so that it measures the server.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

LIMIT = 120.0  # seconds


async def connection(
    address: str, requests: Iterator[bytes], times: list[float], statuses: Counter[str]
) -> None:
    """Send one request after the other, each once the one before is answered."""
    if address.isdecimal():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address))
    else:
        reader, writer = await asyncio.open_unix_connection(address)
    for request in requests:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().rpartition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        times.append(time.perf_counter() - began)
        statuses[head[9:12].decode()] += 1
    writer.close()
    await writer.wait_closed()


async def main(address: str, file: Path, connections: int) -> None:
    prepared = pickle.loads(await asyncio.to_thread(file.read_bytes))  # ours, of a minute ago
    times: list[float] = []
    statuses: Counter[str] = Counter()
    requests = iter(prepared)
    began = time.perf_counter()
    async with asyncio.timeout(LIMIT):
        await asyncio.gather(
            *(connection(address, requests, times, statuses) for _ in range(connections))
        )
    print(
        json.dumps({"seconds": time.perf_counter() - began, "times": times, "statuses": statuses})
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
