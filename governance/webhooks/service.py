"""Which receivers there are. The secret is made here, sealed at rest, and shown once."""

import base64
import secrets
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.service import Ledger
from access.policy.areas import normalise_area
from access.policy.types import Actor
from core.clock import Clock
from core.errors import InvalidInputError, NotFoundError
from core.ids import new_id
from core.outbound import Outbound
from core.secrets import SecretBox
from governance.fanout.cloudevents import TYPES
from governance.outbox import repository as outbox_rows
from governance.webhooks import repository
from governance.webhooks.models import Webhook
from governance.webhooks.schemas import WebhookCreate, WebhookUpdate

_SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix of the standard


class Webhooks:
    """Decides which receivers there are."""

    def __init__(
        self, clock: Clock, ledger: Ledger, secret_box: SecretBox, outbound: Outbound
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._box = secret_box
        self._outbound = outbound

    async def create(
        self, session: AsyncSession, wanted: WebhookCreate, by: Actor
    ) -> tuple[Webhook, str]:
        """Make a receiver, which hears what happens from now on; the second is its secret.

        Raises:
            InvalidInputError: no name, an unknown type, or an address that may not be asked.
        """
        secret = _new_secret()
        _, newest = await outbox_rows.bounds(session)
        row = Webhook(
            id=new_id(),
            name=_name(wanted.name),
            url=self._outbound.check(wanted.url.strip()),
            sealed_secret=self._box.seal(secret),
            types=_types(wanted.types),
            area=normalise_area(wanted.area),
            active=True,
            cursor_seq=newest,
            delivered=0,
            missed=0,
            tries=0,
            last_error="",
            created_at=self._clock.now(),
            created_by=by.id,
        )
        await repository.add(session, row)
        await self._note(session, "webhook.created", row, by)
        return row, secret

    async def get(self, session: AsyncSession, webhook_id: UUID) -> Webhook:
        """Return a receiver.

        Raises:
            NotFoundError: there is none with this id.
        """
        row = await repository.by_id(session, webhook_id)
        if row is None:
            raise NotFoundError(
                "There is no such webhook.", remedy="Look it up in the list of webhooks."
            )
        return row

    async def update(
        self, session: AsyncSession, row: Webhook, wanted: WebhookUpdate, by: Actor
    ) -> None:
        """Change what is given. An address or `active` that is set begins without its old faults.

        Raises:
            InvalidInputError: as for `create`.
        """
        if wanted.name is not None:
            row.name = _name(wanted.name)
        if wanted.types is not None:
            row.types = _types(wanted.types)
        if wanted.url is not None:
            row.url = self._outbound.check(wanted.url.strip())
        if wanted.active is not None:
            row.active = wanted.active
        if wanted.url is not None or wanted.active:
            row.failing_since = row.next_try_at = None
            row.tries, row.last_error = 0, ""
        await self._note(session, "webhook.changed", row, by)

    async def renew_secret(self, session: AsyncSession, row: Webhook, by: Actor) -> str:
        """Give the receiver a new secret; the old one signs nothing any more."""
        secret = _new_secret()
        row.sealed_secret = self._box.seal(secret)
        await self._note(session, "webhook.secret_renewed", row, by)
        return secret

    async def remove(self, session: AsyncSession, row: Webhook, by: Actor) -> None:
        """Remove a receiver; it hears nothing more."""
        row.removed_at = self._clock.now()
        row.active = False
        row.sealed_secret = ""
        await self._note(session, "webhook.removed", row, by)

    async def _note(self, session: AsyncSession, kind: str, row: Webhook, by: Actor) -> None:
        await self._ledger.append(
            session,
            kind,
            actor=by,
            area=row.area,
            subject=str(row.id),
            data={
                "name": row.name,
                "url": row.url.partition("?")[0],  # what follows may hold a key
                "types": ", ".join(row.types) or "all",
                "active": row.active,
            },
        )


def _new_secret() -> str:
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise InvalidInputError(
            "The webhook's name cannot be used.",
            remedy="Use 1 to 80 printable characters that say who is told.",
            code="invalid-name",
        )
    return name


def _types(wanted: Iterable[str]) -> list[str]:
    types = sorted(set(wanted))
    unknown = [name for name in types if name not in TYPES]
    if unknown:
        raise InvalidInputError(
            f"There is no event of type '{unknown[0][:60]}'.",
            remedy=f"Choose from {', '.join(TYPES)}; none for all.",
            code="invalid-event-type",
        )
    return types
