"""Sends prepared HTTP requests at a steady rate, whether those before are answered or not.

``python -m tests.bench.flood_sender PORT FILE RATE CONNECTIONS``: as `webhook_sender`, but that
each request has its time, from which is counted how long it took, a wait for a connection included.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import time
from collections import Counter
from pathlib import Path

LIMIT = 120.0  # seconds


async def main(port: int, file: Path, rate: float, connections: int) -> None:
    prepared = pickle.loads(await asyncio.to_thread(file.read_bytes))  # ours, of a minute ago
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    times: list[float] = []
    statuses: Counter[str] = Counter()
    began = time.perf_counter()

    async def send(number: int, request: bytes) -> None:
        due = began + number / rate
        await asyncio.sleep(due - time.perf_counter())
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().rpartition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        free.put_nowait((reader, writer))
        times.append(time.perf_counter() - due)
        statuses[head[9:12].decode()] += 1

    async with asyncio.timeout(LIMIT):
        await asyncio.gather(*(send(number, one) for number, one in enumerate(prepared)))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "times": times, "statuses": statuses}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
