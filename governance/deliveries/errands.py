"""From a row to a message on its way: looks up whom, where and what, and holds no lock."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository as accounts
from access.households import repository as households
from core.clock import Clock
from core.database import Database
from core.errors import HubError
from core.ids import new_id
from core.secrets import SecretBox
from core.text import cleaned
from governance.areas import repository as areas
from governance.contacts import repository as contacts
from governance.deliveries import repository, ways
from governance.deliveries.carriers import GatewayMessage, Push, WebCarrier
from governance.deliveries.chat import AppriseCarrier, ChatMessage
from governance.deliveries.keys import DeliveryKeys
from governance.deliveries.models import Delivery, Gateway
from governance.deliveries.outcome import Outcome, failed
from governance.deliveries.texts import SEPARATOR, Text, Told, compose
from governance.incidents.models import Incident

Send = Callable[[float], Awaitable[Outcome]]
"""Asks the provider; its argument is the seconds after which it gives up by itself."""

DIGITS = {"1": "seen", "2": "coming"}
"""What a keypad, and a short message, is answered with."""


@dataclass(frozen=True)
class Place:
    """What the site's settings say to messages: where the hub is reached, and what time it is."""

    base_url: str
    name: str
    zone: tzinfo


class _CannotError(Exception):
    """It cannot be sent, and `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


class Errands:
    """Prepares deliveries for the carriers."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        secrets: SecretBox,
        keys: DeliveryKeys,
        place: Place,
    ) -> None:
        self._database = database
        self._clock = clock
        self._secrets = secrets
        self._keys = keys
        self._place = place

    async def prepare(self, row: Delivery, web: WebCarrier, chat: AppriseCarrier) -> Send | Outcome:
        """Return what sends `row`, or why it cannot be sent. Raises what the store raises."""
        try:
            async with self._database.read() as session:
                await self._check_recipient(session, row)
                text = compose(await self._told(session, row))
                if row.channel == "push":
                    return await self._push(session, row, text, web)
                gateway = await ways.gateway(session, row.gateway_id) if row.gateway_id else None
                if gateway is None or gateway.removed_at is not None or not gateway.active:
                    return failed("gateway-gone", permanent=True)
                to = await self._address(session, row)
            if gateway.kind == "http":
                return self._through_http(row, gateway, to, text, web)
            return self._through_apprise(row, gateway, to, text, chat)
        except _CannotError as error:
            return error.outcome

    def prepare_test(
        self, gateway: Gateway, to: str, web: WebCarrier, chat: AppriseCarrier
    ) -> Send | Outcome:
        """Return what sends a test message through `gateway` to the address `to`."""
        row = Delivery(
            provider_key=new_id(), channel=gateway.channel, locale=gateway.locale, purpose="test"
        )
        text = compose(Told(purpose="test", locale=gateway.locale, site=self._place.name))
        if gateway.kind == "http":
            return self._through_http(row, gateway, to, text, web)
        return self._through_apprise(row, gateway, to, text, chat)

    async def _check_recipient(self, session: AsyncSession, row: Delivery) -> None:
        """Look again whether the recipient is still to be told.

        Raises:
            _CannotError: with an outcome `cancelled`.
        """
        if row.recipient_kind == "account":
            account = await accounts.by_id(session, row.recipient_id)
            if account is None or not account.active:
                raise _CannotError(Outcome("cancelled", "account-closed"))
        elif row.recipient_kind == "contact":
            contact = await contacts.by_id(session, row.recipient_id)
            if contact is None or contact.removed_at is not None:
                raise _CannotError(Outcome("cancelled", "contact-removed"))
            if row.purpose != "consent" and not contacts.agrees(contact):
                raise _CannotError(Outcome("cancelled", "not-agreed"))

    async def _told(self, session: AsyncSession, row: Delivery) -> Told:
        incident = None
        if row.incident_id is not None:
            incident = await session.get(Incident, row.incident_id)
        about = dict(row.about)
        told = Told(
            purpose=row.purpose,
            round_key=row.round_key,
            locale=row.locale,
            site=self._place.name,
            about=about,
        )
        if row.purpose == "code":
            return replace(told, about={"digits": self._keys.digits(str(row.point_id))})
        if row.purpose == "consent":
            token = self._keys.token("contact", str(row.recipient_id))
            return replace(
                told,
                where=str(about.get("household", "")),
                link=f"{self._place.base_url}/contact/{token}",
            )
        if incident is None:
            return told
        return replace(
            told,
            kind=incident.kind,
            what=cleaned(incident.headline),
            where=await self._where(session, row, incident),
            when=self._when(incident.opened_at),
            number="" if row.recipient_kind == "contact" else incident.number,
            resolution=incident.resolution or "",
            link=self._link(row, incident),
            unanswered=await _unanswered(session, row),
            replies=await _takes_replies(session, row),
        )

    async def _where(self, session: AsyncSession, row: Delivery, incident: Incident) -> str:
        """Return the place, as exactly as the recipient may know it.

        A contact knows the household; a chat room may have strangers in it and is told the area.
        """
        home = ""
        if incident.household_id is not None and row.recipient_kind != "room":
            names = await households.names(session, {incident.household_id})
            home = names.get(incident.household_id, "")
        if row.recipient_kind in {"contact", "device"}:
            return cleaned(home)
        spot = "" if incident.household_id else incident.zone_name or incident.camera_name
        area = await areas.spoken(session, incident.area)
        return cleaned(SEPARATOR.join(part for part in (area, home, spot) if part))

    def _when(self, at: datetime) -> str:
        """Return the moment in the site's time: the clock, and the date if it is not today."""
        local = at.astimezone(self._place.zone)
        today = self._clock.now().astimezone(self._place.zone).date()
        return local.strftime("%H:%M" if local.date() == today else "%m-%d %H:%M")

    def _link(self, row: Delivery, incident: Incident) -> str:
        if row.answer_hash is not None:
            return f"{self._place.base_url}/a/{self._keys.token('answer', row.key)}"
        if row.recipient_kind == "room":
            return f"{self._place.base_url}/incidents/{incident.id}"
        return ""

    async def _push(
        self, session: AsyncSession, row: Delivery, text: Text, web: WebCarrier
    ) -> Send | Outcome:
        found = None
        if row.point_id is not None:
            found = await ways.subscription(session, row.point_id)
        if found is None:
            return failed("address-gone", permanent=True)
        try:
            subscription: Any = orjson.loads(self._secrets.open(found.subscription_sealed))
        except (HubError, orjson.JSONDecodeError):
            return failed("unreadable-address", permanent=True)
        title, _, rest = text.body.partition("\n")
        lines = [line for line in rest.split("\n") if "://" not in line]
        url = f"/incidents/{row.incident_id}" if row.incident_id else "/"
        if row.answer_hash is not None:
            url = f"/a/{self._keys.token('answer', row.key)}"
        elif row.recipient_kind == "device":
            url = "/alarm"
        payload = {
            "title": title or text.title,
            "body": " · ".join(line for line in lines if line),
            "url": url,
            "tag": str(row.incident_id or row.id),
            "purpose": row.purpose,
            "incident_id": None if row.incident_id is None else str(row.incident_id),
            "at": self._clock.now().isoformat(),
        }
        message = Push(subscription, payload, row.provider_key)
        now = self._clock.now()
        return lambda timeout_s: web.push(message, now, timeout_s)

    async def _address(self, session: AsyncSession, row: Delivery) -> str:
        """Return where the message goes; "" for a room.

        Raises:
            _CannotError: the address is gone or cannot be read.
        """
        if row.recipient_kind == "room":
            return ""
        found = await ways.point(session, row.point_id) if row.point_id is not None else None
        if found is None:
            raise _CannotError(failed("address-gone", permanent=True))
        try:
            return self._secrets.open(found.address_sealed)
        except HubError as error:
            raise _CannotError(failed("unreadable-address", permanent=True)) from error

    def _through_http(
        self, row: Delivery, gateway: Gateway, to: str, text: Text, web: WebCarrier
    ) -> Send | Outcome:
        try:
            url = self._secrets.open(gateway.url_sealed)
            secret = self._secrets.open(gateway.secret_sealed)
        except HubError:
            return failed("unreadable-gateway", permanent=True)
        said = {"sms": text.short, "voice": text.spoken}.get(row.channel, text.body)
        body: Mapping[str, Any] = {
            "id": str(row.provider_key),
            "channel": row.channel,
            "to": to,
            "text": said,
            "language": row.locale,
            "digits": DIGITS if row.answer_hash is not None else {},
            "callback_url": f"{self._place.base_url}/api/v1/gateways/{gateway.id}/callbacks",
        }
        message = GatewayMessage(row.provider_key, url, secret, body, self._clock.now())
        return lambda timeout_s: web.gateway(message, timeout_s)

    def _through_apprise(
        self, row: Delivery, gateway: Gateway, to: str, text: Text, chat: AppriseCarrier
    ) -> Send | Outcome:
        try:
            url = self._secrets.open(gateway.url_sealed)
        except HubError:
            return failed("unreadable-gateway", permanent=True)
        short = row.channel == "sms"
        message = ChatMessage(
            channel=row.channel,
            url=url,
            to=to,
            title="" if short else text.title,
            body=text.short if short else text.body,
        )
        return lambda timeout_s: chat.send(message, timeout_s)


async def _unanswered(session: AsyncSession, row: Delivery) -> list[str]:
    """Return who was told before a whistle and has not answered; only staff is told that."""
    if row.purpose != "whistle" or row.recipient_kind != "account" or row.incident_id is None:
        return []
    before = await repository.reached(session, row.incident_id, {"alert", "whistle"})
    names: dict[UUID, str] = {
        told.recipient_id: told.recipient_name
        for told in before
        if told.recipient_kind == "account"
        and told.recipient_id != row.recipient_id
        and told.created_at < row.created_at
    }
    return list(names.values())


async def _takes_replies(session: AsyncSession, row: Delivery) -> bool:
    """Say whether the gateway hands back what is typed: only the generic one does."""
    if row.answer_hash is None or row.gateway_id is None:
        return False
    gateway = await ways.gateway(session, row.gateway_id)
    return gateway is not None and gateway.kind == "http"
