"""Puts a change of the jurisdiction or of the policy on record, at the next start."""

import hashlib

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from access.jurisdictions.law import Law
from access.jurisdictions.models import RuleFile
from access.ledger.service import Ledger
from access.policy.service import Policy
from core.clock import Clock


async def note_changes(
    session: AsyncSession, clock: Clock, ledger: Ledger, law: Law, policy: Policy
) -> list[str]:
    """Append `law.changed` or `policy.changed` where a file is another one than at the last start.

    Call it in a transaction, once per start. Returns the names of what changed. Two processes that
    start at once append one entry: the second waits for the first and finds nothing new.
    """
    texts = "\n".join(one.text for one in policy.texts)
    policy_digest = hashlib.sha256(texts.encode()).hexdigest()
    found = (
        ("law", law.name, law.digest),
        ("policy", policy.source, policy_digest),
    )
    changed = []
    for name, source, digest in found:
        row = await _locked(session, clock, name)
        # Kept apart: the update below changes the row in the session as well.
        source_before, digest_before = row.source, row.digest
        if (source_before, digest_before) == (source[:300], digest):
            continue
        await session.execute(
            update(RuleFile)
            .where(RuleFile.name == name)
            .values(source=source[:300], digest=digest, seen_at=clock.now())
        )
        await ledger.append(
            session,
            f"{name}.changed",
            actor=None,
            subject=name,
            data={
                "source": source,
                "sha256": digest,
                "source_before": source_before,
                "sha256_before": digest_before,
            },
        )
        changed.append(name)
    return changed


async def _locked(session: AsyncSession, clock: Clock, name: str) -> RuleFile:
    """Return the row, locked until the commit; makes an empty one the first time."""
    query = select(RuleFile).where(RuleFile.name == name).with_for_update()
    row = (await session.scalars(query)).one_or_none()
    if row is not None:
        return row
    values = {"name": name, "source": "", "digest": "", "seen_at": clock.now()}
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(insert_postgresql(RuleFile).values(values).on_conflict_do_nothing())
    else:
        await session.execute(insert(RuleFile).values(values))
    return (await session.scalars(query)).one()
