"""Alembic's entry: runs on the connection that `app.migrate` hands over."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from app.tables import all_tables
from core.database import JsonValue, UtcDateTime


def render_own_types(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Name our own column types, so that a migration depends on no dialect."""
    if kind != "type":
        return False
    if isinstance(item, UtcDateTime):
        autogen.imports.add("from core.database import UtcDateTime")
        return "UtcDateTime()"
    if type(item) is type(JsonValue):
        autogen.imports.add("from core.database import JsonValue")
        return "JsonValue"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=all_tables(),
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_own_types,
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
