-- History (operations, resolutions, operation_states, phases, events) is only ever added to: the
-- triggers at the end refuse UPDATE and DELETE. What is true *now* (running, slots, locks) changes.
-- Times are Unix seconds. The legal transitions are those of bluegreen/store/transitions.py.
-- Names of kinds, lanes and phases are not listed here: new ones must not need a rebuild of history.

CREATE TABLE operations (
    id INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    version TEXT,
    slot TEXT CHECK (slot IN ('blue', 'green')),
    from_slot TEXT CHECK (from_slot IN ('blue', 'green')),
    requested_by TEXT NOT NULL,
    requested_via TEXT NOT NULL,
    idempotency_key TEXT,
    data TEXT NOT NULL CHECK (json_valid(data)),
    created_at REAL NOT NULL
) STRICT;

CREATE INDEX operations_by_app ON operations (app, id);

CREATE UNIQUE INDEX operations_by_key ON operations (app, idempotency_key)
WHERE idempotency_key IS NOT NULL;

-- What the requested version turned out to be; at most once for an operation.
CREATE TABLE resolutions (
    operation INTEGER PRIMARY KEY REFERENCES operations (id),
    version TEXT NOT NULL,
    commit_id TEXT,
    origin TEXT NOT NULL,
    slot TEXT CHECK (slot IN ('blue', 'green')),
    at REAL NOT NULL
) STRICT;

CREATE TABLE operation_states (
    id INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations (id),
    previous TEXT,
    state TEXT NOT NULL,
    at REAL NOT NULL,
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    -- Never NULL: a CHECK that comes out as NULL passes.
    CONSTRAINT legal_transition CHECK (
        coalesce(previous, '') || '>' || state IN (
            '>queued',
            'queued>running', 'queued>failed', 'queued>cancelled', 'queued>superseded',
            'queued>interrupted',
            'running>succeeded', 'running>failed', 'running>rolled_back', 'running>cancelled',
            'running>superseded', 'running>interrupted'
        )
    ),
    CONSTRAINT error_of_a_bad_end CHECK (
        error IS NULL OR state NOT IN ('queued', 'running', 'succeeded')
    )
) STRICT;

CREATE INDEX operation_states_by_operation ON operation_states (operation, id);

CREATE TABLE phases (
    id INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations (id),
    phase TEXT NOT NULL,
    previous TEXT,
    state TEXT NOT NULL,
    at REAL NOT NULL,
    data TEXT NOT NULL CHECK (json_valid(data)),
    CONSTRAINT legal_transition CHECK (
        coalesce(previous, '') || '>' || state IN (
            '>intent',
            'intent>done', 'intent>failed', 'intent>undoing',
            'done>undoing', 'failed>undoing',
            'undoing>undone', 'undoing>failed'
        )
    )
) STRICT;

CREATE INDEX phases_by_operation ON phases (operation, id);

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    operation INTEGER REFERENCES operations (id),
    app TEXT NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL CHECK (json_valid(data))
) STRICT;

CREATE INDEX events_by_operation ON events (operation, id);

CREATE INDEX events_by_app ON events (app, id);

-- One running operation in a lane of an app. Kept by the triggers on operation_states.
CREATE TABLE running (
    app TEXT NOT NULL,
    lane TEXT NOT NULL,
    operation INTEGER NOT NULL UNIQUE REFERENCES operations (id),
    PRIMARY KEY (app, lane)
) STRICT, WITHOUT ROWID;

-- No references to operations: after a lost database, slots are observed and recorded anew.
CREATE TABLE slots (
    app TEXT NOT NULL,
    slot TEXT NOT NULL CHECK (slot IN ('blue', 'green')),
    state TEXT NOT NULL CHECK (state IN ('empty', 'cold', 'starting', 'hot')),
    version TEXT,
    commit_id TEXT,
    tree TEXT,
    operation INTEGER,
    gated_by INTEGER,
    hot_until REAL,
    services TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(services)),
    PRIMARY KEY (app, slot),
    CONSTRAINT empty_has_no_release CHECK (
        (state = 'empty') = (version IS NULL)
        AND (state <> 'empty' OR (commit_id IS NULL AND tree IS NULL))
    ),
    CONSTRAINT hot_has_passed_its_gate CHECK (state <> 'hot' OR gated_by IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TABLE locks (
    app TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    locked_by TEXT NOT NULL,
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- An operation as it stands.
CREATE VIEW operations_now AS
SELECT
    o.id,
    o.app,
    o.kind,
    o.lane,
    s.state,
    coalesce(r.version, o.version) AS version,
    r.commit_id,
    coalesce(r.slot, o.slot) AS slot,
    o.from_slot,
    o.requested_by,
    o.requested_via,
    o.idempotency_key,
    o.created_at,
    CASE WHEN s.state NOT IN ('queued', 'running') THEN s.at END AS finished_at,
    s.error,
    r.operation IS NOT NULL AS resolved
FROM operations AS o
INNER JOIN operation_states AS s
    ON s.id = (SELECT max(id) FROM operation_states WHERE operation = o.id)
LEFT JOIN resolutions AS r ON r.operation = o.id;

CREATE TRIGGER operation_states_follow BEFORE INSERT ON operation_states
WHEN NEW.previous IS NOT (
    SELECT state FROM operation_states WHERE operation = NEW.operation ORDER BY id DESC LIMIT 1
)
BEGIN
    SELECT RAISE(ABORT, 'illegal transition: previous is not the latest state');
END;

CREATE TRIGGER operation_states_take_the_lane AFTER INSERT ON operation_states
WHEN NEW.state = 'running'
BEGIN
    INSERT INTO running (app, lane, operation)
    SELECT app, lane, id FROM operations WHERE id = NEW.operation;
END;

CREATE TRIGGER operation_states_leave_the_lane AFTER INSERT ON operation_states
WHEN NEW.state NOT IN ('queued', 'running')
BEGIN
    DELETE FROM running WHERE operation = NEW.operation;
END;

CREATE TRIGGER operation_states_are_events AFTER INSERT ON operation_states
BEGIN
    INSERT INTO events (operation, app, at, kind, data)
    SELECT
        id, app, NEW.at, 'operation',
        json_object(
            'state', NEW.state, 'kind', kind, 'lane', lane, 'version', version, 'slot', slot,
            'from_slot', from_slot, 'requested_by', requested_by, 'data', json(data),
            'error', json(NEW.error)
        )
    FROM operations WHERE id = NEW.operation;
END;

CREATE TRIGGER phases_follow BEFORE INSERT ON phases
WHEN NEW.previous IS NOT (
    SELECT state FROM phases
    WHERE operation = NEW.operation AND phase = NEW.phase
    ORDER BY id DESC LIMIT 1
)
BEGIN
    SELECT RAISE(ABORT, 'illegal transition: previous is not the latest state of the phase');
END;

CREATE TRIGGER phases_need_a_running_operation BEFORE INSERT ON phases
WHEN NOT EXISTS (SELECT 1 FROM running WHERE operation = NEW.operation)
BEGIN
    SELECT RAISE(ABORT, 'illegal transition: the operation is not running');
END;

CREATE TRIGGER phases_are_events AFTER INSERT ON phases
BEGIN
    INSERT INTO events (operation, app, at, kind, data)
    SELECT
        id, app, NEW.at, 'phase',
        json_object('phase', NEW.phase, 'state', NEW.state, 'data', json(NEW.data))
    FROM operations WHERE id = NEW.operation;
END;

CREATE TRIGGER resolutions_need_a_running_operation BEFORE INSERT ON resolutions
WHEN NOT EXISTS (SELECT 1 FROM running WHERE operation = NEW.operation)
BEGIN
    SELECT RAISE(ABORT, 'illegal transition: the operation is not running');
END;

CREATE TRIGGER operations_keep_update BEFORE UPDATE ON operations
BEGIN
    SELECT RAISE(ABORT, 'operations are never rewritten');
END;

CREATE TRIGGER operations_keep_delete BEFORE DELETE ON operations
BEGIN
    SELECT RAISE(ABORT, 'operations are never deleted');
END;

CREATE TRIGGER resolutions_keep_update BEFORE UPDATE ON resolutions
BEGIN
    SELECT RAISE(ABORT, 'resolutions are never rewritten');
END;

CREATE TRIGGER resolutions_keep_delete BEFORE DELETE ON resolutions
BEGIN
    SELECT RAISE(ABORT, 'resolutions are never deleted');
END;

CREATE TRIGGER operation_states_keep_update BEFORE UPDATE ON operation_states
BEGIN
    SELECT RAISE(ABORT, 'operation states are never rewritten');
END;

CREATE TRIGGER operation_states_keep_delete BEFORE DELETE ON operation_states
BEGIN
    SELECT RAISE(ABORT, 'operation states are never deleted');
END;

CREATE TRIGGER phases_keep_update BEFORE UPDATE ON phases
BEGIN
    SELECT RAISE(ABORT, 'phases are never rewritten');
END;

CREATE TRIGGER phases_keep_delete BEFORE DELETE ON phases
BEGIN
    SELECT RAISE(ABORT, 'phases are never deleted');
END;

CREATE TRIGGER events_keep_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never rewritten');
END;

CREATE TRIGGER events_keep_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END;
