"""Every decision about rotas and their overrides. Nothing here commits."""

from datetime import datetime, tzinfo

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.policy.types import Role
from governance.duty.book import load_book


async def on_duty(
    session: AsyncSession, area: str, post: Role, at: datetime, zone: tzinfo
) -> list[Account]:
    """Return who has `post` in `area` at an instant: active accounts that hold the role still.

    The rota of the area or of the nearest area above that has one; without a rota, or where the
    rota names nobody for this moment, everybody who holds the role nearest. Empty only if nobody
    holds it in the area or above.

    Args:
        session: to read with.
        area: a path; "" is the whole site.
        post: one of `governance.duty.book.POSTS`.
        at: an aware datetime.
        zone: the site's time zone, in which rotas are written.
    """
    book = await load_book(session, area, at, (post,))
    found = book.watch(area, post, at, zone)
    return [] if found is None else list(found.accounts)
