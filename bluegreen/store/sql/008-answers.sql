-- Answers to requests with an Idempotency-Key that begin no operation: sent again, they get the
-- first answer. Kept for a time and so many: see bluegreen/store/answers.py.

CREATE TABLE answers (
    id INTEGER PRIMARY KEY,
    app TEXT NOT NULL, -- empty: of the daemon
    idempotency_key TEXT NOT NULL,
    request TEXT NOT NULL, -- a digest of what was asked for
    answer TEXT NOT NULL CHECK (json_valid(answer)),
    at REAL NOT NULL,
    UNIQUE (app, idempotency_key)
) STRICT;
