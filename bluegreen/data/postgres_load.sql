-- All that there is of the app goes, so that what a dump has is what there is afterwards. It is run
-- in the transaction that loads the dump. What belongs to others, such as an extension that an
-- administrator has installed, stays; a schema with such an extension is emptied.
-- Neither what CASCADE takes along is said, nor that the dump's script begins a transaction as well.
SET LOCAL client_min_messages = error;
DO $empty$
DECLARE
    own CONSTANT name := current_user;
    one record;
    found record;
BEGIN
    -- pg_dump takes the schema public for granted, as each new database has it.
    FOR one IN
        SELECT s.oid, s.nspname,
            pg_has_role(own, s.nspowner, 'USAGE')
            AND (s.nspname <> 'public' OR has_database_privilege(current_database(), 'CREATE'))
            AND NOT EXISTS (
                SELECT FROM pg_extension e
                WHERE e.extnamespace = s.oid AND NOT pg_has_role(own, e.extowner, 'USAGE')
            ) AS goes
        FROM pg_namespace s
        WHERE s.nspname !~ '^pg_' AND s.nspname <> 'information_schema'
            AND NOT EXISTS (
                SELECT FROM pg_depend d
                WHERE d.classid = 'pg_namespace'::regclass AND d.objid = s.oid AND d.deptype = 'e'
            )
    LOOP
        IF one.goes THEN
            EXECUTE format('DROP SCHEMA %I CASCADE', one.nspname);
            CONTINUE WHEN one.nspname <> 'public';
            -- As a new database has it; what is not so in the dump, the dump says.
            CREATE SCHEMA public;
            COMMENT ON SCHEMA public IS 'standard public schema';
            IF current_setting('server_version_num')::int < 150000 THEN
                GRANT ALL ON SCHEMA public TO PUBLIC;
                CONTINUE;
            END IF;
            GRANT USAGE ON SCHEMA public TO PUBLIC;
            IF pg_has_role(own, 'pg_database_owner', 'MEMBER') THEN
                ALTER SCHEMA public OWNER TO pg_database_owner;
            END IF;
            CONTINUE;
        END IF;
        -- Named before the first of them goes, as others go with it.
        FOR found IN
            SELECT unnest(array_agg(i.type)) AS type, unnest(array_agg(i.identity)) AS identity
            FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i
            WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = one.oid
                AND d.deptype = 'n' AND d.objsubid = 0 AND d.classid <> 'pg_extension'::regclass
                AND NOT EXISTS (
                    SELECT FROM pg_depend e
                    WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e'
                )
        LOOP
            EXECUTE format(
                'DROP %s IF EXISTS %s CASCADE',
                CASE found.type
                    WHEN 'composite type' THEN 'type'
                    WHEN 'statistics object' THEN 'statistics'
                    ELSE found.type
                END,
                found.identity
            );
        END LOOP;
    END LOOP;
    -- What is in no schema.
    FOR found IN
        SELECT unnest(array_agg(i.type)) AS type, unnest(array_agg(i.identity)) AS identity
        FROM (
            SELECT 'pg_extension'::regclass AS class, oid AS id, extowner AS owner
            FROM pg_extension WHERE extname <> 'plpgsql'
            UNION ALL
            SELECT 'pg_publication'::regclass, oid, pubowner FROM pg_publication
            UNION ALL
            SELECT 'pg_event_trigger'::regclass, oid, evtowner FROM pg_event_trigger
            UNION ALL
            SELECT 'pg_foreign_server'::regclass, oid, srvowner FROM pg_foreign_server
            UNION ALL
            SELECT 'pg_foreign_data_wrapper'::regclass, oid, fdwowner FROM pg_foreign_data_wrapper
        ) o, pg_identify_object(o.class, o.id, 0) i
        WHERE pg_has_role(own, o.owner, 'USAGE') AND NOT EXISTS (
            SELECT FROM pg_depend d
            WHERE d.classid = o.class AND d.objid = o.id AND d.deptype = 'e'
        )
    LOOP
        EXECUTE format(
            'DROP %s IF EXISTS %s CASCADE', replace(found.type, 'foreign server', 'server'),
            found.identity
        );
    END LOOP;
    PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
END
$empty$;
