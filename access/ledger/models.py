"""Tables of the ledger, and what refuses to change them.

The refusals (the mapper's and the database's triggers) are a speed bump: whoever owns the database
can drop a trigger. What finds a change is the chain and its signatures, whose key lies elsewhere.
"""

from collections.abc import Sequence

from sqlalchemy import DDL, BigInteger, Index, Integer, LargeBinary, String, Text, event
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from core.database import Base

_BIG = BigInteger().with_variant(Integer, "sqlite")


class LedgerEntry(Base):
    """Something that happened, chained to the entry before. Every column is in `hash`.

    Columns are plain numbers and texts, the same on both stores, so that what is hashed is what
    is stored. `at` is in microseconds since 1970-01-01 UTC. People are named by account id only.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index("ix_ledger_entry_kind_seq", "kind", "seq"),
        Index("ix_ledger_entry_actor_id_seq", "actor_id", "seq"),
        Index("ix_ledger_entry_subject_seq", "subject", "seq"),
    )

    seq: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(60))
    area: Mapped[str] = mapped_column(String(255))
    actor_kind: Mapped[str] = mapped_column(String(12))
    actor_id: Mapped[str] = mapped_column(String(36))
    subject: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class LedgerHead(Base):
    """The newest entry, in one row (`id` 1) that is locked while the next is written."""

    __tablename__ = "ledger_head"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class LedgerCheckpoint(Base):
    """A signature that covers every entry up to `seq`. `at` in microseconds since 1970 UTC."""

    __tablename__ = "ledger_checkpoint"

    seq: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    at: Mapped[int] = mapped_column(BigInteger)
    key_id: Mapped[str] = mapped_column(String(32))
    signature: Mapped[bytes] = mapped_column(LargeBinary(64))


_GUARDED = ("ledger_entry", "ledger_checkpoint")


def guard_statements(dialect: str, tables: Sequence[str] = _GUARDED) -> list[str]:
    """Return the statements that make the triggers of `tables`, for the migration as well.

    `dialect` is `sqlite` or `postgresql`. SQLite knows no TRUNCATE; a DELETE of all rows asks the
    trigger too.
    """
    made = []
    if dialect == "postgresql":
        made.append(
            "CREATE OR REPLACE FUNCTION ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
        )
    for table in tables:
        if dialect == "postgresql":
            made += [
                f"CREATE OR REPLACE TRIGGER {table}_kept BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION ledger_refuses()",
                f"CREATE OR REPLACE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()",
            ]
        else:
            made += [
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{word.lower()} BEFORE {word} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
                for word in ("UPDATE", "DELETE")
            ]
    return made


def _refuse(_mapper: Mapper[Base], _connection: object, target: Base) -> None:
    raise RuntimeError(f"the ledger is append-only; {type(target).__name__} is not to be changed")


for _model in (LedgerEntry, LedgerCheckpoint):
    event.listen(_model, "before_update", _refuse)
    event.listen(_model, "before_delete", _refuse)
    for _dialect in ("sqlite", "postgresql"):
        for _statement in guard_statements(_dialect, (_model.__tablename__,)):
            event.listen(
                _model.__table__,
                "after_create",
                DDL(_statement).execute_if(dialect=_dialect),  # type: ignore[no-untyped-call]
            )
