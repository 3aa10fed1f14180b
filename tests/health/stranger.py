"""A process that listens where it is told and answers every request healthily.

``stranger.py PORT|PATH HOST reuse|alone``; it ends with its standard input.
"""

from __future__ import annotations

import socket
import sys
import threading

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"status":"ok"}'


def listen(where: str, host: str, *, reuse: bool) -> socket.socket:
    if where.startswith("/"):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(where)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        if reuse:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, int(where)))
    listener.listen()
    return listener


def answer(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(ANSWER)


if __name__ == "__main__":
    server = listen(sys.argv[1], sys.argv[2], reuse=sys.argv[3] == "reuse")
    threading.Thread(target=answer, args=(server,), daemon=True).start()
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    sys.stdin.read()
