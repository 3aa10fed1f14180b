"""Limits of the API that the command line says in its own words, without importing the server."""

from __future__ import annotations

LIST_LIMIT = 200  # operations in one answer
LINES_LIMIT = 100_000  # of each service's log in one answer
NUMBER_LIMIT = 2**62  # operations are numbered below it
KEY_LENGTH = 200  # characters of an Idempotency-Key
LONGEST_LIFE = 3650 * 86400.0  # seconds, of a token that expires
