"""The hub: every service of the house, made once, handed to every endpoint."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import Depends
from starlette.requests import HTTPConnection

from access.accounts.service import Accounts
from access.consent.service import Consent
from access.factors.service import Factors
from access.factors.steps import Steps
from access.households.service import Households
from access.jurisdictions import Law
from access.ledger.background import Verifications
from access.ledger.service import Ledger
from access.ledger.signing import Signer
from access.oidc.service import Oidc
from access.policy.service import Policy
from access.seals.service import Seals
from access.sessions.service import Sessions
from access.tokens.lookup import TokenLookup
from access.tokens.service import Tokens
from access.views.service import Views
from analytics.redaction.still import StillRedactor
from api.guards import Guards
from api.links import LinkThrottle
from api.noticeboard import Noticeboard
from api.playback_guard import PlaybackGuard
from api.signal_cameras import camera_facts
from api.storage_checks import StorageChecks
from camera_hub.devices import homes
from camera_hub.devices.discoveries import Discoveries
from camera_hub.devices.facts import Places
from camera_hub.devices.probing import Prober
from camera_hub.devices.ptz_rows import PtzRows
from camera_hub.devices.remote import Remote
from camera_hub.devices.service import Devices
from camera_hub.live.hub import LiveHub
from camera_hub.plans.service import Plans
from camera_hub.recording.index.service import Recordings
from camera_hub.recording.playback.service import Playbacks
from camera_hub.recording.playback.thumbnails import Thumbnails
from camera_hub.streams.reach import Reach
from core.clock import Clock
from core.database import Database
from core.outbound import Outbound
from core.secrets import SecretBox
from core.settings import Settings
from governance.alarms.service import AlarmDevices
from governance.contacts.service import Contacts
from governance.dead_man import DeadMan
from governance.deliveries.answering import Answers
from governance.deliveries.points import OwnWays
from governance.deliveries.upkeep import Gateways
from governance.exports.service import Exports
from governance.service import Governance, build_governance
from governance.webhooks.sender import WebhookSender
from governance.webhooks.service import Webhooks

if TYPE_CHECKING:
    from api.importing import Imports
    from governance.fanout.redis_stream import RedisStream


@dataclass
class Hub:
    """What endpoints work with. Lies in `app.state.hub`.

    `closing` is set when the server begins to stop: streams that stay open end then.
    """

    settings: Settings
    clock: Clock
    database: Database
    secrets: SecretBox
    ledger: Ledger
    policy: Policy
    accounts: Accounts
    sessions: Sessions
    factors: Factors
    steps: Steps
    oidc: Oidc
    tokens: Tokens
    households: Households
    consent: Consent
    views: Views
    seals: Seals
    devices: Devices
    law: Law
    places: Places
    plans: Plans = field(init=False)
    live: LiveHub
    redactor: StillRedactor
    remote: Remote = field(init=False)
    discoveries: Discoveries = field(init=False)
    imports: "Imports | None" = field(init=False, default=None)
    recordings: Recordings
    token_lookup: TokenLookup = field(init=False)
    guards: Guards = field(init=False)
    signer: Signer = field(init=False)
    alarm_devices: AlarmDevices = field(init=False)
    exports: Exports = field(init=False)
    verifications: Verifications = field(default_factory=Verifications)
    storage_checks: StorageChecks = field(default_factory=StorageChecks)
    governance: Governance = field(init=False)
    outbound: Outbound = field(init=False)
    own_ways: OwnWays = field(init=False)
    gateways: Gateways = field(init=False)
    contacts: Contacts = field(init=False)
    answers: Answers = field(init=False)
    link_throttle: LinkThrottle = field(init=False)
    dead_man: DeadMan | None = field(init=False, default=None)
    webhooks: Webhooks = field(init=False)
    webhook_sender: WebhookSender = field(init=False)
    redis_stream: "RedisStream | None" = field(init=False, default=None)
    playbacks: Playbacks = field(init=False)
    playback_guard: PlaybackGuard = field(init=False)
    thumbnails: Thumbnails = field(init=False)
    painters: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    noticeboard: Noticeboard = field(default_factory=Noticeboard)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.token_lookup = TokenLookup(self.database, self.tokens)
        self.guards = Guards(self.live)
        rows = PtzRows(self.database, self.clock)
        self.remote = Remote(self.clock, self.devices.prober.reach, rows)
        self.plans = Plans(self.clock, self.settings.data_dir)
        self.discoveries = Discoveries(self.clock, self.devices.prober.reach)
        self.playbacks = Playbacks(self.clock, self.recordings)
        self.playback_guard = PlaybackGuard(self.database, self.playbacks, self.views)
        self.thumbnails = Thumbnails(self.settings.data_dir / "cache" / "thumbnails")
        self.recordings.sweeper.forget.append(self.thumbnails.forget)
        self.signer = Signer(self.database, self.clock, self.ledger, self.settings.ledger_dir)
        self.alarm_devices = AlarmDevices(self.clock, self.secrets, self.tokens, self.ledger)
        self.exports = Exports(self.clock, self.ledger, self.settings.exports_dir)
        self._reach_out()
        self.governance = build_governance(self, camera_facts)
        self._tell_people()
        if self.settings.heartbeat.url.get_secret_value():
            self.dead_man = DeadMan(
                self.database,
                self.clock,
                self.settings.heartbeat,
                outbound=self.outbound,
                auditor=self.governance.auditor,
            )

    def _tell_people(self) -> None:
        """Make the upkeep of how people are told, and the way their answers come back."""
        keys, deliveries = self.governance.delivery_keys, self.governance.deliveries
        self.own_ways = OwnWays(
            self.clock,
            secrets=self.secrets,
            ledger=self.ledger,
            keys=keys,
            deliveries=deliveries,
            outbound=self.outbound,
        )
        self.gateways = Gateways(
            self.clock, secrets=self.secrets, ledger=self.ledger, outbound=self.outbound
        )
        self.contacts = Contacts(
            self.clock,
            secrets=self.secrets,
            ledger=self.ledger,
            keys=keys,
            deliveries=deliveries,
        )
        self.answers = Answers(self.clock, deliveries)
        self.link_throttle = LinkThrottle(self.clock)

    def _reach_out(self) -> None:
        """Make what other systems are told through."""
        told = self.settings.deliveries
        self.outbound = Outbound(allow_private=told.allow_private, timeout_s=told.timeout_s)
        self.webhooks = Webhooks(self.clock, self.ledger, self.secrets, self.outbound)
        self.webhook_sender = WebhookSender(
            self.database,
            self.clock,
            ledger=self.ledger,
            secret_box=self.secrets,
            outbound=self.outbound,
            at_home=homes.at_home,
        )
        if self.settings.redis.url.get_secret_value():
            # Only where it is used: most sites have no Redis, and each command pays for imports.
            from governance.fanout.redis_stream import RedisStream

            self.redis_stream = RedisStream(
                self.database, self.clock, self.settings.redis, homes.at_home
            )

    async def close(self) -> None:
        """End the live views and let go of the database; call it once, after the last request."""
        self.closing.set()
        if self.imports is not None:
            await self.imports.close()
        await self.discoveries.close()
        await self.remote.close()
        await self.verifications.close()
        await self.storage_checks.close()
        await self.live.close()
        await self.guards.close()
        await asyncio.to_thread(self.redactor.close)
        await self.outbound.close()
        await self.token_lookup.settle()
        await self.database.close()


def policy_file(settings: Settings) -> Path:
    """Return where a centre's own policy lies, if it has one."""
    return settings.data_dir / "policies" / "access.cedar"


def build_hub(settings: Settings, clock: Clock) -> Hub:
    """Make the hub for `settings`. Opens no connection yet; the tables must be there before use.

    Raises:
        PolicyError: the policy file is not valid.
        JurisdictionError: the jurisdiction's file is not there or not valid.
        SecretBoxError: the key file holds no key.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    secrets = SecretBox.from_file(settings.secret_key_file)
    ledger = Ledger(clock, settings.ledger_dir / "keys")
    factors = Factors(clock, secrets, ledger, settings.site.name)
    households = Households(clock, ledger)
    law = Law.load(settings.data_dir / "jurisdictions", settings.site.jurisdiction)
    devices = Devices(
        clock,
        secrets,
        Prober(clock, reach=Reach.of(settings)),
        law,
        recording=settings.recording.mode,
    )

    async def address_of(camera_id: UUID) -> str | None:
        return devices.board.address(camera_id)

    database = Database(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    return Hub(
        settings=settings,
        clock=clock,
        database=database,
        secrets=secrets,
        ledger=ledger,
        policy=Policy.load(policy_file(settings)),
        accounts=Accounts(clock, ledger, settings.access.second_factor_for),
        sessions=Sessions(clock, ledger),
        factors=factors,
        steps=Steps(clock, secrets, factors),
        oidc=Oidc(clock, secrets, ledger, settings.access.oidc),
        tokens=Tokens(clock, ledger),
        households=households,
        consent=Consent(clock, ledger, settings.site.zone),
        views=Views(clock, ledger),
        seals=Seals(clock, ledger, law.seal.max_days),
        devices=devices,
        law=law,
        places=Places(law, households, ledger, settings.site),
        live=LiveHub(address_of),
        redactor=StillRedactor(
            settings.run_dir / "inference.sock",
            clock,
            people_suffice=settings.analytics.redact_people_only,
        ),
        recordings=Recordings(database, clock, settings, law=law, ledger=ledger),
    )


def hub_of(connection: HTTPConnection) -> Hub:
    """Return the hub of the application that serves this connection."""
    hub = connection.app.state.hub
    assert isinstance(hub, Hub)
    return hub


async def get_hub(connection: HTTPConnection) -> Hub:
    """Return the same as a dependency: one that is not async would go through a thread."""
    return hub_of(connection)


HubDep = Annotated[Hub, Depends(get_hub)]
