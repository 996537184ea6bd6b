"""What Alembic runs to apply migrations; the connection and its transaction come from ``uncrop.store.migration``."""

from alembic import context

from uncrop.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
