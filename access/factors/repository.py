"""Every query on second factors. What counts once is taken by one statement with a condition."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Executable, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from access.factors.models import (
    FactorChallenge,
    Passkey,
    RecoveryCode,
    SpentTicket,
    TotpSecret,
)


async def _changed(session: AsyncSession, statement: Executable) -> int:
    result = cast("CursorResult[Any]", await session.execute(statement))
    return result.rowcount


async def totp(session: AsyncSession, account_id: UUID) -> TotpSecret | None:
    """Return the account's TOTP secret, confirmed or not."""
    query = select(TotpSecret).where(TotpSecret.account_id == account_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def put_totp(session: AsyncSession, row: TotpSecret) -> None:
    """Write a new secret in the place of the one that was there."""
    await delete_totp(session, row.account_id)
    session.add(row)
    await session.flush()


async def delete_totp(session: AsyncSession, account_id: UUID) -> bool:
    """Delete the secret; say whether there was one."""
    query = delete(TotpSecret).where(TotpSecret.account_id == account_id)
    return await _changed(session, query) > 0


async def use_step(session: AsyncSession, account_id: UUID, step: int) -> bool:
    """Take the code of `step`: true once, and never for an older step than the newest taken."""
    query = (
        update(TotpSecret)
        .where(TotpSecret.account_id == account_id, TotpSecret.last_step < step)
        .values(last_step=step)
    )
    return await _changed(session, query) == 1


async def put_recovery_codes(
    session: AsyncSession, account_id: UUID, rows: Sequence[RecoveryCode]
) -> None:
    """Write new codes in the place of all earlier ones."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    session.add_all(rows)
    await session.flush()


async def recovery_codes_left(session: AsyncSession, account_id: UUID) -> int:
    """Return how many codes are not used."""
    query = select(func.count()).where(
        RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None)
    )
    return await session.scalar(query) or 0


async def use_recovery_code(
    session: AsyncSession, account_id: UUID, code_hash: str, at: datetime
) -> bool:
    """Take a code: true once."""
    query = (
        update(RecoveryCode)
        .where(
            RecoveryCode.account_id == account_id,
            RecoveryCode.code_hash == code_hash,
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=at)
    )
    return await _changed(session, query) == 1


async def passkeys(session: AsyncSession, account_id: UUID) -> list[Passkey]:
    """Return the account's passkeys, oldest first."""
    query = select(Passkey).where(Passkey.account_id == account_id).order_by(Passkey.id)
    return list(await session.scalars(query))


async def passkey(session: AsyncSession, credential_id: str) -> Passkey | None:
    """Return the passkey with this id of WebAuthn, locked until the transaction ends."""
    query = select(Passkey).where(Passkey.credential_id == credential_id).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def own_passkey(session: AsyncSession, account_id: UUID, passkey_id: UUID) -> Passkey | None:
    """Return this passkey of this account."""
    query = select(Passkey).where(Passkey.account_id == account_id, Passkey.id == passkey_id)
    return await session.scalar(query)


async def add_passkey(session: AsyncSession, row: Passkey) -> None:
    """Write a new passkey."""
    session.add(row)
    await session.flush()


async def delete_passkey(session: AsyncSession, row: Passkey) -> None:
    """Delete a passkey."""
    await session.delete(row)
    await session.flush()


async def delete_all(session: AsyncSession, account_id: UUID) -> None:
    """Delete every factor, recovery code and open challenge of the account."""
    for table in (Passkey, TotpSecret, RecoveryCode, FactorChallenge):
        await session.execute(delete(table).where(table.account_id == account_id))


async def enrolled(
    session: AsyncSession, account_ids: Iterable[UUID]
) -> tuple[set[UUID], dict[UUID, int]]:
    """Return who of these has a confirmed TOTP secret, and how many passkeys each has."""
    ids = list(account_ids)
    with_totp = select(TotpSecret.account_id).where(
        TotpSecret.account_id.in_(ids), TotpSecret.confirmed_at.is_not(None)
    )
    counted = (
        select(Passkey.account_id, func.count())
        .where(Passkey.account_id.in_(ids))
        .group_by(Passkey.account_id)
    )
    found = {row[0]: row[1] for row in await session.execute(counted)}
    return set(await session.scalars(with_totp)), found


async def add_challenge(session: AsyncSession, row: FactorChallenge, keep: int) -> None:
    """Write a challenge; of its account and purpose only the `keep` newest stay."""
    same = (
        FactorChallenge.account_id == row.account_id,
        FactorChallenge.purpose == row.purpose,
    )
    newest = (
        select(FactorChallenge.id).where(*same).order_by(FactorChallenge.id.desc()).limit(keep - 1)
    )
    await session.execute(
        delete(FactorChallenge).where(*same, FactorChallenge.id.not_in(newest.scalar_subquery()))
    )
    session.add(row)
    await session.flush()


async def try_challenge(
    session: AsyncSession, token_hash: str, purpose: str, now: datetime, most: int
) -> FactorChallenge | None:
    """Count a try at this challenge and return it; None if it is unknown, over or used up."""
    where = (
        FactorChallenge.token_hash == token_hash,
        FactorChallenge.purpose == purpose,
        FactorChallenge.expires_at > now,
        FactorChallenge.tries < most,
    )
    counted = update(FactorChallenge).where(*where).values(tries=FactorChallenge.tries + 1)
    if await _changed(session, counted) != 1:
        return None
    query = select(FactorChallenge).where(FactorChallenge.token_hash == token_hash)
    return await session.scalar(query.execution_options(populate_existing=True))


async def take_challenge(session: AsyncSession, challenge_id: UUID) -> bool:
    """Delete the challenge: true once."""
    query = delete(FactorChallenge).where(FactorChallenge.id == challenge_id)
    return await _changed(session, query) == 1


async def delete_challenges(session: AsyncSession, account_id: UUID) -> None:
    """Delete every open challenge of the account."""
    await session.execute(delete(FactorChallenge).where(FactorChallenge.account_id == account_id))


async def forget_expired(session: AsyncSession, now: datetime) -> None:
    """Delete challenges and used tickets that are over, but for those that another deletes.

    To wait for that one could be for ever: one of both may hold the ledger by now.
    """
    for key, expires_at in (
        (FactorChallenge.id, FactorChallenge.expires_at),
        (SpentTicket.ticket_hash, SpentTicket.expires_at),
    ):
        free = select(key).where(expires_at <= now).with_for_update(skip_locked=True)
        await session.execute(delete(key.class_).where(key.in_(free)))


async def spend_ticket(session: AsyncSession, ticket_hash: str, expires_at: datetime) -> bool:
    """Write that the ticket is used: true once."""
    insert = insert_postgresql if session.get_bind().dialect.name == "postgresql" else insert_sqlite
    query = insert(SpentTicket).values(ticket_hash=ticket_hash, expires_at=expires_at)
    return await _changed(session, query.on_conflict_do_nothing()) == 1
