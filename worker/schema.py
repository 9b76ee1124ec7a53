"""The schema and the roles: `python -m worker.schema`, as the database's owner, where the services may do only what
they must.

By default the worker applies the schema itself, whenever it begins to count. A worker whose role does not own the
tables leaves them as they are.
"""

import asyncio
import sys
from pathlib import Path

import asyncpg
from asyncpg import Connection

from common.settings import Settings, SettingsError

FOLDER = Path(__file__).parent.parent / "db"
SCHEMA = FOLDER / "schema.sql"
ROLES = FOLDER / "roles.sql"

KEPT_BY_OTHERS = "SELECT NOT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('votes')"


class NoTables(Exception):
    """There are no tables, and this role may not make them."""


async def apply_schema(connection: Connection) -> None:
    """Make or renew the tables, unless they are somebody else's; raises NoTables."""
    if await connection.fetchval(KEPT_BY_OTHERS):
        return
    try:
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
    except asyncpg.InsufficientPrivilegeError as error:
        raise NoTables(f"{error}: make the tables as the database's owner, with python -m worker.schema") from error


async def main(database_url: str) -> None:
    """Apply the schema, then the roles."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await apply_schema(connection)
        await connection.execute(ROLES.read_text(encoding="utf-8"))
    finally:
        await connection.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(Settings.from_env().database_url))
    except (SettingsError, NoTables, asyncpg.PostgresError, OSError, TimeoutError) as error:
        sys.exit(f"worker.schema: {error or type(error).__name__}")
    print("the tables are made, and the roles tallyho_worker and tallyho_result may do what they must")
    print("give each a password in psql: \\password tallyho_worker, \\password tallyho_result")
