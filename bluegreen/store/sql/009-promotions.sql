-- A release that waits for a person is told, too.
DROP INDEX events_to_tell;

CREATE INDEX events_to_tell ON events (id) WHERE kind IN ('operation', 'warning', 'promotion');
