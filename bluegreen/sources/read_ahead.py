"""Pieces of a file, made in a thread of their own while those before are still being used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

AHEAD = 4  # pieces that may wait


class ReadAhead:
    """What ``make`` gives, until that is empty. Reading, hashing and decompressing need no lock of
    the interpreter, so that they cost no time beside the making of files."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._room = threading.Semaphore(AHEAD)
        self._ready: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._is_over = False
        name = f"{threading.current_thread().name}, ahead"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def next(self) -> bytes:
        """The next piece, none at the end. Raises what ``make`` has raised."""
        if self._is_over:
            return b""
        piece = self._ready.get()
        self._room.release()
        if isinstance(piece, BaseException):
            self._is_over = True
            raise piece
        self._is_over = not piece
        return piece

    def close(self) -> None:
        """Make no more, and wait for what is being made."""
        self._is_over = True
        self._room.release()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._room.acquire()
            if self._is_over:
                return
            try:
                piece = self._make()
            except BaseException as error:
                self._ready.put(error)
                return
            self._ready.put(piece)
            if not piece:
                return
