-- A query for each table of which pg_dump dumps rows, and then what each of them answers: a line of
-- JSON, {"schema.table": rows}. All of it is of one instant, and nothing waits for a lock for long.
SET statement_timeout = '10s';
SET lock_timeout = '2s';
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SELECT format('SELECT json_build_object(%L, count(*)) FROM ONLY %I.%I', format('%I.%I', nspname, relname), nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
ORDER BY nspname, relname
\gexec
COMMIT;
