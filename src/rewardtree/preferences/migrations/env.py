"""Runs the migrations on the connection, in the transaction, that `opening.migrate` hands over."""

from alembic import context

from rewardtree.preferences.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
