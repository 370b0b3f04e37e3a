-- Databases and roles of BOT3, each role with the least privileges. Run as a superuser; a second run changes only the passwords:
--   BOT3_SECRETS=/etc/bot3/secrets psql -U postgres -f deploy/postgres/roles.sql
-- The directory contains one file for each role: bot1_db_password, bot2_db_password, bot3_db_password, reader_db_password, dagster_db_password.
--   bot1, bot2    own the database of their bot
--   bot3          owns bot33 (the bot) and bot3 (the platform's record and control store)
--   dagster       owns dagster (runs, events, schedules)
--   bot3_reader   reads all databases except dagster: for the dashboard, and for learning from the bots' trades
\set ON_ERROR_STOP on
\set bot1_password `cat "${BOT3_SECRETS:-/run/secrets}/bot1_db_password"`
\set bot2_password `cat "${BOT3_SECRETS:-/run/secrets}/bot2_db_password"`
\set bot3_password `cat "${BOT3_SECRETS:-/run/secrets}/bot3_db_password"`
\set reader_password `cat "${BOT3_SECRETS:-/run/secrets}/reader_db_password"`
\set dagster_password `cat "${BOT3_SECRETS:-/run/secrets}/dagster_db_password"`

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION', wanted.name)
FROM (VALUES ('bot1'), ('bot2'), ('bot3'), ('bot3_reader'), ('dagster')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
\gexec

ALTER ROLE bot1 PASSWORD :'bot1_password';
ALTER ROLE bot2 PASSWORD :'bot2_password';
ALTER ROLE bot3 PASSWORD :'bot3_password';
ALTER ROLE bot3_reader PASSWORD :'reader_password';
ALTER ROLE dagster PASSWORD :'dagster_password';
-- A second protection beside the missing privileges: a reader's statement that would write is refused before its privileges are checked.
ALTER ROLE bot3_reader SET default_transaction_read_only = on;

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', wanted.name, wanted.owner)
FROM (VALUES ('bot1', 'bot1'), ('bot2', 'bot2'), ('bot33', 'bot3'), ('bot3', 'bot3'), ('dagster', 'dagster')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = wanted.name)
\gexec

\set database bot1
\set owner bot1
\ir lib/database.sql
\set database bot2
\set owner bot2
\ir lib/database.sql
\set database bot33
\set owner bot3
\ir lib/database.sql
\set database bot3
\ir lib/database.sql

-- Only its owner has access to Dagster's storage.
REVOKE ALL ON DATABASE dagster FROM PUBLIC;
ALTER DATABASE dagster SET timezone TO 'UTC';
\connect dagster
REVOKE ALL ON SCHEMA public FROM PUBLIC;
