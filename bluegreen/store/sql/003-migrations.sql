-- What became of the app's own migrations, by name: applied by which release, in which tree, and
-- undone by which operation. Only ever added to; the latest of a name is what is so.

CREATE TABLE migrations (
    id INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    operation INTEGER NOT NULL REFERENCES operations (id),
    change TEXT NOT NULL CHECK (change IN ('applied', 'marked', 'rolled_back')),
    version TEXT NOT NULL,
    slot TEXT NOT NULL CHECK (slot IN ('blue', 'green')),
    tree TEXT NOT NULL,
    at REAL NOT NULL,
    UNIQUE (operation, name, change)
) STRICT;

CREATE INDEX migrations_by_app ON migrations (app, name, id);

CREATE TRIGGER migrations_need_a_running_operation BEFORE INSERT ON migrations
WHEN NOT EXISTS (SELECT 1 FROM running WHERE operation = NEW.operation)
BEGIN
    SELECT RAISE(ABORT, 'illegal transition: the operation is not running');
END;

CREATE TRIGGER migrations_keep_update BEFORE UPDATE ON migrations
BEGIN
    SELECT RAISE(ABORT, 'migrations are never rewritten');
END;

CREATE TRIGGER migrations_keep_delete BEFORE DELETE ON migrations
BEGIN
    SELECT RAISE(ABORT, 'migrations are never deleted');
END;
