"""The schema and the roles: `python -m worker.schema`, as the database's owner, where the services may do only what
they must.

By default the worker applies the schema itself, whenever it gets ready to count. A worker whose role does not own the
tables leaves them as they are.
"""

import asyncio
import sys
from pathlib import Path

import asyncpg
from asyncpg import Connection

from common.settings import Settings, SettingsError
from worker.problems import said

SCHEMA_LOCK = 7_411_905_503  # of whoever applies the schema; beside the one in common/counting.py

FOLDER = Path(__file__).parent.parent / "db"
SCHEMA = FOLDER / "schema.sql"
ROLES = FOLDER / "roles.sql"

KEPT_BY_OTHERS = "SELECT NOT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('votes')"

# what a worker needs of a schema that it may not renew itself
MISSING = """
SELECT name FROM unnest('{voter_id,vote,cast_at,series,number}'::text[]) AS name
 WHERE NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'votes'::regclass AND attname = name AND NOT attisdropped)
 UNION ALL
SELECT 'heal_tallies()' WHERE to_regprocedure('heal_tallies()') IS NULL
"""
BY_THE_OWNER = "as the database's owner, with python -m worker.schema"


class NoTables(Exception):
    """There are no tables, or old ones, and this role may not make them."""


class SchemaRefused(Exception):
    """PostgreSQL does not take db/schema.sql."""


async def apply_schema(connection: Connection) -> None:
    """Make or renew the tables, unless they are somebody else's; raises NoTables and SchemaRefused."""
    if await connection.fetchval(KEPT_BY_OTHERS):
        if missing := sorted(row["name"] for row in await connection.fetch(MISSING)):
            raise NoTables(f"the tables lack {', '.join(missing)}: renew them {BY_THE_OWNER}")
        return
    schema = SCHEMA.read_text(encoding="utf-8")
    try:
        async with connection.transaction():
            # PostgreSQL does not put up with two that replace a function at once
            await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK)
            await connection.execute(schema)
    except asyncpg.InsufficientPrivilegeError as error:
        raise NoTables(f"{said(error)}: make the tables {BY_THE_OWNER}") from error
    except asyncpg.SyntaxOrAccessError as error:
        raise SchemaRefused(f"db/schema.sql{_line(schema, error)}: {said(error)}") from error


def _line(schema: str, error: asyncpg.PostgresError) -> str:
    """Where in the file, if PostgreSQL says so."""
    return f", line {schema.count(chr(10), 0, int(error.position) - 1) + 1}" if error.position else ""


async def main(database_url: str) -> None:
    """Apply the schema, then the roles."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await apply_schema(connection)
        await connection.fetch("SELECT * FROM heal_tallies()")
        await connection.execute(ROLES.read_text(encoding="utf-8"))
    finally:
        await connection.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(Settings.from_env().database_url))
    except (SettingsError, NoTables, SchemaRefused, asyncpg.PostgresError, OSError, TimeoutError) as error:
        sys.exit(f"worker.schema: {error or type(error).__name__}")
    print("the tables are made, and the roles tallyho_worker and tallyho_result may do what they must")
    print("give each a password in psql: \\password tallyho_worker, \\password tallyho_result")
