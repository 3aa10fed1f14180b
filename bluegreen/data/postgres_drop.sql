-- The database :copy goes, and whoever is connected to it: DROP DATABASE … (FORCE) is of version 13.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = :'copy' AND pid <> pg_backend_pid() \g /dev/null
DROP DATABASE IF EXISTS :"copy";
