-- Automatic releases that wait for their turn, and what a person has decided against them.

-- When an operation that had waited began, and which slots that was about: as it was asked for,
-- nobody could know. At most once for an operation.
CREATE TABLE turns (
    operation INTEGER PRIMARY KEY REFERENCES operations (id),
    slot TEXT NOT NULL CHECK (slot IN ('blue', 'green')),
    from_slot TEXT CHECK (from_slot IN ('blue', 'green')),
    at REAL NOT NULL
) STRICT;

-- What waits, in its order: one that is begun again has the place of the first attempt.
CREATE TABLE waiting (
    app TEXT NOT NULL,
    place INTEGER NOT NULL,
    operation INTEGER NOT NULL UNIQUE REFERENCES operations (id),
    PRIMARY KEY (app, place)
) STRICT, WITHOUT ROWID;

-- Since a person has moved traffic, automatic releases of an app wait. Kept by the triggers below.
CREATE TABLE pauses (
    app TEXT PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations (id),
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether a version has failed is asked at each trigger, of a history of any length.
CREATE INDEX operations_by_version ON operations (app, version, id);

CREATE INDEX resolutions_by_commit ON resolutions (commit_id) WHERE commit_id IS NOT NULL;

DROP VIEW operations_now;

CREATE VIEW operations_now AS
SELECT
    o.id,
    o.app,
    o.kind,
    o.lane,
    s.state,
    coalesce(r.version, o.version) AS version,
    r.commit_id,
    coalesce(r.slot, t.slot, o.slot) AS slot,
    coalesce(t.from_slot, o.from_slot) AS from_slot,
    o.requested_by,
    o.requested_via,
    o.idempotency_key,
    o.data,
    o.created_at,
    t.at AS begun_at,
    CASE WHEN s.state NOT IN ('queued', 'running') THEN s.at END AS finished_at,
    s.error,
    r.operation IS NOT NULL AS resolved
FROM operations AS o
INNER JOIN operation_states AS s
    ON s.id = (SELECT max(id) FROM operation_states WHERE operation = o.id)
LEFT JOIN resolutions AS r ON r.operation = o.id
LEFT JOIN turns AS t ON t.operation = o.id;

DROP TRIGGER operation_states_are_events;

CREATE TRIGGER operation_states_are_events AFTER INSERT ON operation_states
BEGIN
    INSERT INTO events (operation, app, at, kind, data)
    SELECT
        o.id, o.app, NEW.at, 'operation',
        json_object(
            'state', NEW.state, 'kind', o.kind, 'lane', o.lane, 'version', o.version,
            'slot', coalesce(t.slot, o.slot), 'from_slot', coalesce(t.from_slot, o.from_slot),
            'requested_by', o.requested_by, 'data', json(o.data), 'error', json(NEW.error)
        )
    FROM operations AS o LEFT JOIN turns AS t ON t.operation = o.id
    WHERE o.id = NEW.operation;
END;

CREATE TRIGGER operation_states_end_the_wait AFTER INSERT ON operation_states
WHEN NEW.state <> 'queued'
BEGIN
    DELETE FROM waiting WHERE operation = NEW.operation;
END;

-- As soon as it is asked for, so that nothing that waits undoes it, whenever the daemon ends.
CREATE TRIGGER operations_pause_what_waits AFTER INSERT ON operations
WHEN NEW.kind IN ('switch', 'rollback')
BEGIN
    INSERT INTO pauses (app, operation, at) VALUES (NEW.app, NEW.id, NEW.created_at)
    ON CONFLICT (app) DO UPDATE SET operation = excluded.operation, at = excluded.at;
END;

CREATE TRIGGER operations_by_hand_end_the_pause AFTER INSERT ON operation_states
WHEN NEW.state = 'succeeded'
BEGIN
    DELETE FROM pauses WHERE app = (
        SELECT app FROM operations
        WHERE id = NEW.operation AND kind = 'deploy' AND json_extract(data, '$.automatic') IS NULL
    )
    AND operation < NEW.operation;  -- a deploy that was asked for earlier decides nothing
END;

CREATE TRIGGER turns_keep_update BEFORE UPDATE ON turns
BEGIN
    SELECT RAISE(ABORT, 'turns are never rewritten');
END;

CREATE TRIGGER turns_keep_delete BEFORE DELETE ON turns
BEGIN
    SELECT RAISE(ABORT, 'turns are never deleted');
END;
