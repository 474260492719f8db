"""Every query on identities."""

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.oidc.models import OidcIdentity


async def by_subject(session: AsyncSession, issuer: str, subject: str) -> OidcIdentity | None:
    """Return the identity of `subject` at `issuer`."""
    query = select(OidcIdentity).where(
        OidcIdentity.issuer == issuer, OidcIdentity.subject == subject
    )
    return await session.scalar(query)


async def of_account(session: AsyncSession, account_id: UUID) -> OidcIdentity | None:
    """Return the identity that stands for the account."""
    return await session.scalar(select(OidcIdentity).where(OidcIdentity.account_id == account_id))


async def add(session: AsyncSession, row: OidcIdentity) -> None:
    """Write an identity."""
    session.add(row)
    await session.flush()


async def delete_of_account(session: AsyncSession, account_id: UUID) -> bool:
    """Delete the identity of the account; say whether there was one."""
    found = await of_account(session, account_id)
    await session.execute(delete(OidcIdentity).where(OidcIdentity.account_id == account_id))
    return found is not None
