-- Least rights: what the worker and the dashboard may do in this database. Vote has no business here at all.
-- `python -m worker.schema` applies it after schema.sql, as the owner; safe to run again. Passwords are not set here.

DO $$
BEGIN
    IF to_regrole('tallyho_worker') IS NULL THEN CREATE ROLE tallyho_worker LOGIN; END IF;
    IF to_regrole('tallyho_result') IS NULL THEN CREATE ROLE tallyho_result LOGIN; END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, tallyho_worker, tallyho_result', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO tallyho_worker, tallyho_result', current_database());
END $$;

-- The worker's errors without DETAIL, which quotes the row and so the voter's id, in PostgreSQL's log. Only a superuser may
-- say so; elsewhere set log_error_verbosity for the whole server.
DO $$
BEGIN
    ALTER ROLE tallyho_worker SET log_error_verbosity = terse;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'log_error_verbosity stays as it is: only a superuser may set it';
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC, tallyho_worker, tallyho_result;
GRANT USAGE ON SCHEMA public TO tallyho_worker, tallyho_result;

REVOKE ALL ON votes, tallies FROM PUBLIC, tallyho_worker, tallyho_result;
-- SELECT, because an upsert reads the row that it meets; UPDATE of the whole table, because the worker locks it. What
-- follows in `tallies` the triggers do with the owner's rights, and so does a recount.
GRANT SELECT, INSERT, UPDATE ON votes TO tallyho_worker;
GRANT EXECUTE ON FUNCTION heal_tallies() TO tallyho_worker;
GRANT SELECT ON tallies TO tallyho_result;
