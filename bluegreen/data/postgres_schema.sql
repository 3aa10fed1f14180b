-- What there is in a database, but for what extensions have made: a line of JSON an object,
-- {"table public.orders": "digest of its definition"}. All of it is of one instant.
SET statement_timeout = '10s';
SET lock_timeout = '2s';
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
WITH own AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), extended AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), columns AS (
    SELECT a.attrelid,
        string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'NOT NULL' END, a.attidentity,
            pg_get_expr(d.adbin, d.adrelid)), E'\n' ORDER BY a.attnum) AS said
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attrelid
), constraints AS (
    SELECT conrelid,
        string_agg(conname || ' ' || pg_get_constraintdef(oid), E'\n' ORDER BY conname) AS said
    FROM pg_constraint GROUP BY conrelid
), triggers AS (
    SELECT tgrelid, string_agg(pg_get_triggerdef(oid), E'\n' ORDER BY tgname) AS said
    FROM pg_trigger WHERE NOT tgisinternal GROUP BY tgrelid
), objects AS (
    SELECT 'pg_class'::regclass AS class, c.oid, n.nspname, c.relname AS name,
        CASE c.relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'v' THEN 'view'
            WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table'
            WHEN 'c' THEN 'type' ELSE 'table' END AS kind,
        concat_ws(E'\n', columns.said, constraints.said, triggers.said,
            CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid)
                WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid)
                WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END) AS said
    FROM pg_class c JOIN own n ON n.oid = c.relnamespace
        LEFT JOIN columns ON columns.attrelid = c.oid
        LEFT JOIN constraints ON constraints.conrelid = c.oid
        LEFT JOIN triggers ON triggers.tgrelid = c.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S', 'c')
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, n.nspname,
        format('%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid)), 'function',
        concat_ws(E'\n', pg_get_function_result(p.oid), p.prosrc, p.probin)
    FROM pg_proc p JOIN own n ON n.oid = p.pronamespace
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, n.nspname, t.typname, 'type',
        concat_ws(E'\n', format_type(t.typbasetype, t.typtypmod),
            (SELECT string_agg(enumlabel, E'\n' ORDER BY enumsortorder)
                FROM pg_enum WHERE enumtypid = t.oid),
            (SELECT string_agg(pg_get_constraintdef(oid), E'\n' ORDER BY conname)
                FROM pg_constraint WHERE contypid = t.oid))
    FROM pg_type t JOIN own n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd')
)
SELECT json_build_object(
    o.kind || ' ' || o.nspname || '.' || o.name, substr(md5(o.said), 1, 16))
FROM objects o
WHERE NOT EXISTS (
    SELECT FROM extended e WHERE (e.classid, e.objid) = (o.class::oid, o.oid)
)
UNION ALL
SELECT json_build_object('extension ' || extname, extversion) FROM pg_extension
UNION ALL
SELECT json_build_object('schema ' || nspname, '') FROM own;
COMMIT;
