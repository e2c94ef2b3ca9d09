"""`python -m crew_server.history.migrate`: brings the schema of the durable history to its newest version, and ends.

A process of its own, for the migration tool and SQLAlchemy take more memory than the rest of a server's work with
Postgres. The URL comes by the environment, where no list of processes shows it. Of several that run at once each waits
for the one before, by a lock that ends with its transaction, as a pooler of transactions needs it.
"""

import os
import sys
import warnings
from importlib import resources
from typing import Any, Final

from crew_runtime.contract import history

CONNECTION: Final = "HISTORY_CONNECTION"
"""What libpq connects by, all in one: set by the server for this process alone."""
LOCK: Final = 0x63726577_6F707301
"""Of all who migrate, or make partitions."""
WAIT_MS: Final = 20_000
"""For the lock, and for each statement."""


def main() -> int:
    """Migrate by the environment. Exit code 1 with one line on stderr when that failed."""
    try:
        upgrade(os.environ[CONNECTION])
    except Exception as error:  # noqa: BLE001 - whatever it is, whoever started this process tells it
        original = getattr(error, "orig", None) or error
        sys.stderr.write(f"{type(original).__name__}: {str(original).strip()[:500]}\n")
        return 1
    return 0


def upgrade(connection: str) -> None:
    """Bring the schema to its newest version; one that is newer stays as it is. Raises what the tools raise."""
    import psycopg
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    def connect() -> Any:
        return psycopg.connect(connection, prepare_threshold=None)

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=connect, poolclass=sqlalchemy.NullPool)
    folder = resources.files("crew_server.history").joinpath("migrations")
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    with warnings.catch_warnings(), engine.begin() as transaction:
        transaction.exec_driver_sql(f"SET LOCAL statement_timeout = {WAIT_MS}")
        transaction.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        if _version(transaction) >= history.NEWEST:
            return
        if not transaction.exec_driver_sql(f"SELECT to_regnamespace('{history.SCHEMA}') IS NOT NULL").scalar():
            transaction.exec_driver_sql(f"CREATE SCHEMA {history.SCHEMA}")
        config.attributes["connection"] = transaction
        command.upgrade(config, "head")


def _version(transaction: Any) -> int:
    table = f"{history.SCHEMA}.{history.VERSIONS}"
    if not transaction.exec_driver_sql(f"SELECT to_regclass('{table}') IS NOT NULL").scalar():
        return 0
    return int(transaction.exec_driver_sql(f"SELECT version_num FROM {table}").scalar() or 0)  # noqa: S608 - our names


if __name__ == "__main__":
    sys.exit(main())
