-- A new, empty database :copy on the same server, like the one that is asked, in place of what an
-- earlier attempt has left of it.
SET client_min_messages = error;
\ir postgres_drop.sql
-- From template1, which has what an administrator gives to each database of this server, where that
-- is of the same encoding and locale. What a column is called depends on the server's version.
SELECT format('CREATE DATABASE %I TEMPLATE %s', :'copy', CASE
        WHEN (t.encoding, t.datcollate, t.datctype) IS NOT DISTINCT FROM (d.encoding, d.datcollate, d.datctype)
            AND t.locale IS NOT DISTINCT FROM d.locale AND t.provider IS NOT DISTINCT FROM d.provider
        THEN 'template1'
        ELSE format('template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
                pg_encoding_to_char(d.encoding), d.datcollate, d.datctype)
            || CASE d.provider
                WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', d.locale)
                WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', d.locale)
                ELSE '' END
    END)
FROM (SELECT *, to_jsonb(o)->>'datlocprovider' AS provider,
        coalesce(to_jsonb(o)->>'datlocale', to_jsonb(o)->>'daticulocale') AS locale
    FROM pg_database o WHERE datname = current_database()) d,
    (SELECT *, to_jsonb(o)->>'datlocprovider' AS provider,
        coalesce(to_jsonb(o)->>'datlocale', to_jsonb(o)->>'daticulocale') AS locale
    FROM pg_database o WHERE datname = 'template1') t
\gexec
-- What is set for each connection to it, as far as who asks may set that.
\set ON_ERROR_STOP off
SELECT format('ALTER DATABASE %I SET %I TO %s', :'copy', key, CASE
        WHEN key IN ('search_path', 'session_preload_libraries', 'local_preload_libraries', 'temp_tablespaces')
        THEN value ELSE quote_literal(value) END)
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase,
    unnest(s.setconfig) one, split_part(one, '=', 1) key, substr(one, strpos(one, '=') + 1) value
WHERE d.datname = current_database() AND s.setrole = 0
\gexec
