"""The hub: every service of the house, each made once, when it is first asked for.

A command of `camera-hub` asks for one or two of them and imports only what these need, so each
property imports its own. The api process makes all of them before it serves (`build_hub`): what
is missing or wrong there is told at its start, and not by a request at night.
"""

import asyncio
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING
from uuid import UUID

from api.access_services import AccessServices
from core.clock import Clock
from core.settings import Settings

if TYPE_CHECKING:
    from analytics.redaction.still import StillRedactor
    from api.guards import Guards
    from api.importing import Imports
    from api.links import LinkThrottle
    from api.noticeboard import Noticeboard
    from api.playback_guard import PlaybackGuard
    from api.storage_checks import StorageChecks
    from camera_hub.devices.discoveries import Discoveries
    from camera_hub.devices.facts import Places
    from camera_hub.devices.remote import Remote
    from camera_hub.devices.service import Devices
    from camera_hub.live.hub import LiveHub
    from camera_hub.plans.service import Plans
    from camera_hub.recording.index.service import Recordings
    from camera_hub.recording.playback.service import Playbacks
    from camera_hub.recording.playback.thumbnails import Thumbnails
    from governance.alarms.service import AlarmDevices
    from governance.contacts.service import Contacts
    from governance.dead_man import DeadMan
    from governance.deliveries.answering import Answers
    from governance.deliveries.points import OwnWays
    from governance.deliveries.upkeep import Gateways
    from governance.exports.service import Exports
    from governance.fanout.redis_stream import RedisStream
    from governance.service import Governance
    from governance.webhooks.sender import WebhookSender
    from governance.webhooks.service import Webhooks


class Hub(AccessServices):
    """What endpoints and commands work with. Lies in `app.state.hub`.

    `closing` is set when the server begins to stop: streams that stay open end then.
    Opens no connection before it is used; the tables must be there by then.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.imports: Imports | None = None
        self.painters = asyncio.Semaphore(2)
        self.closing = asyncio.Event()

    def make_all(self) -> None:
        """Make every service now.

        Raises:
            PolicyError: the policy file is not valid.
            JurisdictionError: the jurisdiction's file is not there or not valid.
            SecretBoxError: the key file holds no key.
        """
        for kind in reversed(Hub.__mro__):
            for name, value in vars(kind).items():
                if isinstance(value, cached_property):
                    getattr(self, name)

    async def close(self) -> None:
        """End the live views and let go of the database; call it once, after the last request."""
        self.closing.set()
        if self.imports is not None:
            await self.imports.close()
        await self._ends.aclose()

    # Cameras, and what is seen through them

    @cached_property
    def noticeboard(self) -> "Noticeboard":
        from api.noticeboard import Noticeboard

        return Noticeboard()

    @cached_property
    def devices(self) -> "Devices":
        from camera_hub.devices.probing import Prober
        from camera_hub.devices.service import Devices
        from camera_hub.streams.reach import Reach

        prober = Prober(self.clock, reach=Reach.of(self.settings))
        mode = self.settings.recording.mode
        return Devices(self.clock, self.secrets, prober, self.law, recording=mode)

    @cached_property
    def places(self) -> "Places":
        from camera_hub.devices.facts import Places

        return Places(self.law, self.households, self.ledger, self.settings.site)

    @cached_property
    def plans(self) -> "Plans":
        from camera_hub.plans.service import Plans

        return Plans(self.clock, self.settings.data_dir)

    @cached_property
    def remote(self) -> "Remote":
        from camera_hub.devices.ptz_rows import PtzRows
        from camera_hub.devices.remote import Remote

        rows = PtzRows(self.database, self.clock)
        made = Remote(self.clock, self.devices.prober.reach, rows)
        self._ends.push_async_callback(made.close)
        return made

    @cached_property
    def discoveries(self) -> "Discoveries":
        from camera_hub.devices.discoveries import Discoveries

        made = Discoveries(self.clock, self.devices.prober.reach)
        self._ends.push_async_callback(made.close)
        return made

    @cached_property
    def live(self) -> "LiveHub":
        from camera_hub.live.hub import LiveHub

        async def address_of(camera_id: UUID) -> str | None:
            return self.devices.board.address(camera_id)

        made = LiveHub(address_of)
        self._ends.push_async_callback(made.close)
        return made

    @cached_property
    def guards(self) -> "Guards":
        from api.guards import Guards

        made = Guards(self.live)
        self._ends.push_async_callback(made.close)
        return made

    @cached_property
    def redactor(self) -> "StillRedactor":
        from analytics.redaction.still import StillRedactor

        made = StillRedactor(
            self.settings.run_dir / "inference.sock",
            self.clock,
            people_suffice=self.settings.analytics.redact_people_only,
        )
        self._ends.push_async_callback(partial(asyncio.to_thread, made.close))
        return made

    # Recordings

    @cached_property
    def recordings(self) -> "Recordings":
        from camera_hub.recording.index.service import Recordings

        made = Recordings(
            self.database, self.clock, self.settings, law=self.law, ledger=self.ledger
        )
        made.sweeper.forget.append(self._forget_thumbnails)
        return made

    def _forget_thumbnails(self, camera_id: UUID, start: datetime, end: datetime) -> None:
        self.thumbnails.forget(camera_id, start, end)

    @cached_property
    def thumbnails(self) -> "Thumbnails":
        from camera_hub.recording.playback.thumbnails import Thumbnails

        return Thumbnails(self.settings.data_dir / "cache" / "thumbnails")

    @cached_property
    def playbacks(self) -> "Playbacks":
        from camera_hub.recording.playback.service import Playbacks

        return Playbacks(self.clock, self.recordings)

    @cached_property
    def playback_guard(self) -> "PlaybackGuard":
        from api.playback_guard import PlaybackGuard

        return PlaybackGuard(self.database, self.playbacks, self.views)

    @cached_property
    def storage_checks(self) -> "StorageChecks":
        from api.storage_checks import StorageChecks

        made = StorageChecks()
        self._ends.push_async_callback(made.close)
        return made

    @cached_property
    def exports(self) -> "Exports":
        from governance.exports.service import Exports

        return Exports(self.clock, self.ledger, self.settings.exports_dir)

    # The loop of incidents, and who is told

    @cached_property
    def governance(self) -> "Governance":
        from api.signal_cameras import camera_facts
        from governance.service import build_governance

        return build_governance(self, camera_facts)

    @cached_property
    def alarm_devices(self) -> "AlarmDevices":
        from governance.alarms.service import AlarmDevices

        return AlarmDevices(self.clock, self.secrets, self.tokens, self.ledger)

    @cached_property
    def own_ways(self) -> "OwnWays":
        from governance.deliveries.points import OwnWays

        return OwnWays(
            self.clock,
            secrets=self.secrets,
            ledger=self.ledger,
            keys=self.governance.delivery_keys,
            deliveries=self.governance.deliveries,
            outbound=self.outbound,
        )

    @cached_property
    def gateways(self) -> "Gateways":
        from governance.deliveries.upkeep import Gateways

        return Gateways(
            self.clock, secrets=self.secrets, ledger=self.ledger, outbound=self.outbound
        )

    @cached_property
    def contacts(self) -> "Contacts":
        from governance.contacts.service import Contacts

        return Contacts(
            self.clock,
            secrets=self.secrets,
            ledger=self.ledger,
            keys=self.governance.delivery_keys,
            deliveries=self.governance.deliveries,
        )

    @cached_property
    def answers(self) -> "Answers":
        from governance.deliveries.answering import Answers

        return Answers(self.clock, self.governance.deliveries)

    @cached_property
    def link_throttle(self) -> "LinkThrottle":
        from api.links import LinkThrottle

        return LinkThrottle(self.clock)

    @cached_property
    def webhooks(self) -> "Webhooks":
        from governance.webhooks.service import Webhooks

        return Webhooks(self.clock, self.ledger, self.secrets, self.outbound)

    @cached_property
    def webhook_sender(self) -> "WebhookSender":
        from camera_hub.devices.homes import at_home
        from governance.webhooks.sender import WebhookSender

        return WebhookSender(
            self.database,
            self.clock,
            ledger=self.ledger,
            secret_box=self.secrets,
            outbound=self.outbound,
            at_home=at_home,
        )

    @cached_property
    def dead_man(self) -> "DeadMan | None":
        if not self.settings.heartbeat.url.get_secret_value():
            return None
        from governance.dead_man import DeadMan

        return DeadMan(
            self.database,
            self.clock,
            self.settings.heartbeat,
            outbound=self.outbound,
            auditor=self.governance.auditor,
        )

    @cached_property
    def redis_stream(self) -> "RedisStream | None":
        if not self.settings.redis.url.get_secret_value():
            return None
        from camera_hub.devices.homes import at_home
        from governance.fanout.redis_stream import RedisStream

        return RedisStream(self.database, self.clock, self.settings.redis, at_home)


def build_hub(settings: Settings, clock: Clock) -> Hub:
    """Make the hub for `settings` with every service in it; the tables must be there before use.

    Raises:
        PolicyError: the policy file is not valid.
        JurisdictionError: the jurisdiction's file is not there or not valid.
        SecretBoxError: the key file holds no key.
    """
    hub = Hub(settings, clock)
    hub.make_all()
    return hub
