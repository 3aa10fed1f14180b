-- The bytes that a database takes on its server's disk, a line of JSON.
SELECT json_build_object('bytes', pg_database_size(current_database()));
