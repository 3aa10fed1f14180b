-- Tokens of the API. Kept when they are revoked: history names them, and no number comes twice.
-- Of the text itself there is only what scrypt makes of it. Times are Unix seconds.

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL CHECK (json_valid(scopes)),
    apps TEXT CHECK (apps IS NULL OR json_valid(apps)), -- NULL: all
    salt BLOB NOT NULL,
    digest BLOB NOT NULL,
    cost TEXT NOT NULL CHECK (json_valid(cost)), -- scrypt's n, r and p
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    created_via TEXT NOT NULL,
    expires_at REAL, -- NULL: never
    last_used_at REAL,
    last_used_from TEXT,
    revoked_at REAL,
    revoked_by TEXT
) STRICT;

CREATE TRIGGER tokens_keep_update BEFORE UPDATE OF
    id, name, scopes, apps, salt, digest, cost, created_at, created_by, created_via, expires_at
ON tokens
BEGIN
    SELECT RAISE(ABORT, 'tokens are never rewritten');
END;

CREATE TRIGGER tokens_keep_revoked BEFORE UPDATE OF revoked_at, revoked_by ON tokens
WHEN OLD.revoked_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a revoked token stays revoked');
END;

CREATE TRIGGER tokens_keep_delete BEFORE DELETE ON tokens
BEGIN
    SELECT RAISE(ABORT, 'tokens are never deleted');
END;
