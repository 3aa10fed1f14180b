-- Who is told what happens, and how far each of them has been told: the events up to its cursor are
-- settled. Of an address there is a digest, as it may hold a secret. Times are Unix seconds.

CREATE TABLE receivers (
    key TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    mark TEXT NOT NULL, -- in the names of its messages: those of two databases never are the same
    cursor INTEGER NOT NULL,
    since REAL NOT NULL,
    refusals INTEGER NOT NULL DEFAULT 0, -- of what comes next
    failures INTEGER NOT NULL DEFAULT 0, -- in a row
    failing_since REAL,
    retry_at REAL,
    last_error TEXT,
    last_error_at REAL,
    last_success_at REAL,
    delivered INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    gone_at REAL -- it has said that it wants nothing more
) STRICT, WITHOUT ROWID;

CREATE TRIGGER receivers_only_go_on BEFORE UPDATE OF cursor ON receivers
WHEN NEW.cursor < OLD.cursor
BEGIN
    SELECT RAISE(ABORT, 'what a receiver was told is never told from the beginning');
END;

-- What may be told, in a history of any length, most of which are phases and output.
CREATE INDEX events_to_tell ON events (id) WHERE kind IN ('operation', 'warning');
