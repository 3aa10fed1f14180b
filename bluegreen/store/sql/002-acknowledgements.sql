-- An operation as it stands, with what its requester gave along: the texts of `--ack`.

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
    coalesce(r.slot, o.slot) AS slot,
    o.from_slot,
    o.requested_by,
    o.requested_via,
    o.idempotency_key,
    o.data,
    o.created_at,
    CASE WHEN s.state NOT IN ('queued', 'running') THEN s.at END AS finished_at,
    s.error,
    r.operation IS NOT NULL AS resolved
FROM operations AS o
INNER JOIN operation_states AS s
    ON s.id = (SELECT max(id) FROM operation_states WHERE operation = o.id)
LEFT JOIN resolutions AS r ON r.operation = o.id;
