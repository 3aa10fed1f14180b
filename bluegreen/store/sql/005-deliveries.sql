-- Deliveries of webhooks that were signed right: taken up durably before they are answered, so that
-- one that comes again is known, and one that was taken up is handed on after a restart. What was
-- triggered is kept for ever; of the rest the newest, and bodies for a while (see store/deliveries.py).

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    provider TEXT NOT NULL,
    delivery TEXT NOT NULL, -- its sender's name for it
    digest TEXT, -- SHA-256 of the body, where that name is not signed; else NULL
    event TEXT NOT NULL,
    version TEXT,
    decision TEXT NOT NULL CHECK (
        decision IN ('accepted', 'triggered', 'declined', 'ignored', 'unreadable')
    ),
    why TEXT,
    operation INTEGER,
    via TEXT NOT NULL,
    received_at REAL NOT NULL,
    headers TEXT CHECK (headers IS NULL OR json_valid(headers)), -- without tokens and signatures
    body BLOB, -- NULL: not kept, or not any more
    replay_of INTEGER, -- the one that a person had done again
    replayed_by TEXT,
    UNIQUE (app, provider, delivery),
    CONSTRAINT triggered_has_an_operation CHECK (
        (decision = 'triggered') = (operation IS NOT NULL)
    ),
    CONSTRAINT accepted_has_a_version CHECK (decision <> 'accepted' OR version IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX deliveries_by_digest ON deliveries (app, provider, digest)
WHERE digest IS NOT NULL;

CREATE INDEX deliveries_by_app ON deliveries (app, id);

CREATE INDEX deliveries_accepted ON deliveries (id) WHERE decision = 'accepted';

CREATE INDEX deliveries_with_body ON deliveries (app, id) WHERE body IS NOT NULL;

CREATE INDEX deliveries_without_operation ON deliveries (app, id)
WHERE decision IN ('declined', 'ignored', 'unreadable');

-- All but headers and body, which are read one by one.
CREATE VIEW deliveries_known AS
SELECT
    id, app, provider, delivery, digest, event, version, decision, why, operation, via, received_at,
    replay_of, replayed_by, body IS NOT NULL AS is_whole
FROM deliveries;

CREATE TRIGGER deliveries_are_settled_once BEFORE UPDATE OF decision, operation ON deliveries
WHEN OLD.decision <> 'accepted' OR NEW.decision NOT IN ('triggered', 'declined')
BEGIN
    SELECT RAISE(ABORT, 'illegal transition: the delivery is settled');
END;

CREATE TRIGGER deliveries_keep_what_came
BEFORE UPDATE OF app, provider, delivery, digest, event, version, received_at ON deliveries
BEGIN
    SELECT RAISE(ABORT, 'what was delivered is never rewritten');
END;

CREATE TRIGGER deliveries_keep_triggered BEFORE DELETE ON deliveries
WHEN OLD.decision IN ('accepted', 'triggered')
BEGIN
    SELECT RAISE(ABORT, 'deliveries that were triggered are never deleted');
END;
