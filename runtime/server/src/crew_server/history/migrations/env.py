"""What Alembic runs: on the connection that `migrate` gives it, in that one's transaction."""

from alembic import context

from crew_runtime.contract import history

context.configure(
    connection=context.config.attributes["connection"],
    version_table=history.VERSIONS,
    version_table_schema=history.SCHEMA,
)
context.run_migrations()
