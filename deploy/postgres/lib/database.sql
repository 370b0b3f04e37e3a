-- One database: only its owner and the reader can connect, its sessions use UTC, and the reader can also read tables that are created later.
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO bot3_reader;
ALTER DATABASE :"database" SET timezone TO 'UTC';
\connect :"database"
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO bot3_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO bot3_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT ON TABLES TO bot3_reader;
