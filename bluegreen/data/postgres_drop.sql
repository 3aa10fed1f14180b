-- The database :copy goes, and whoever of ours is connected to it: DROP DATABASE … (FORCE) is of
-- version 13. Who is not ours is left, as the server would refuse it: DROP DATABASE sends workers of
-- the server away by itself, and says that others are there.
SELECT set_config('bluegreen.copy', :'copy', false) \g /dev/null
DO $gone$
BEGIN
    -- A server goes on with what a killed client has asked for: the copy would be there afterwards.
    FOR attempt IN 1 .. 600 LOOP
        PERFORM pg_terminate_backend(pid)
            FROM pg_stat_activity, format('CREATE DATABASE %I ', current_setting('bluegreen.copy')) making
            WHERE left(query, length(making)) = making AND state = 'active'
                AND pg_has_role(usesysid, 'USAGE') AND pid <> pg_backend_pid();
        EXIT WHEN NOT FOUND;
        PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
    END LOOP;
END
$gone$;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = :'copy' AND pg_has_role(usesysid, 'USAGE') AND pid <> pg_backend_pid() \g /dev/null
DROP DATABASE IF EXISTS :"copy";
