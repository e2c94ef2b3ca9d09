"""The first tables: kickoffs, task outputs, human input, messages, erasures."""

from importlib import resources

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """As `0001.sql` says."""
    op.execute(resources.files("crew_server.history").joinpath("migrations/0001.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Never: a history is not taken away."""
    raise NotImplementedError("the durable history only goes forward")
