"""POSTs on the host that are never sent twice, until a file is there; then what became of them.

Run by the host's own Python: ``load.py PORT STOP_FILE keep|close``.
"""

from __future__ import annotations

import collections
import http.client
import json
import os
import sys
import threading
import time

THREADS = 6
THINK = 0.01  # seconds between an answer and the next request


def main(port: int, stop: str, close: bool) -> None:
    answers: collections.Counter[str] = collections.Counter()
    failures: list[str] = []
    threads = [
        threading.Thread(target=_post, args=(port, stop, close, answers, failures))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"answers": answers, "failures": failures[:20]}))


def _post(
    port: int, stop: str, close: bool, answers: collections.Counter[str], failures: list[str]
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Connection": "close"} if close else {}
    while not os.path.exists(stop):
        time.sleep(THINK)
        try:
            connection.request("POST", "/api/orders", b"one", headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
            connection.close()
            continue
        if answer.status == http.client.OK:
            answers[json.loads(body)["version"]] += 1
        else:
            failures.append(str(answer.status))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3] == "close")
