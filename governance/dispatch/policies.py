"""The policies in force: compiled in memory, asked for every incident that opens."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.service import Ledger
from access.policy.areas import covers
from access.policy.types import Actor
from core.clock import Clock
from core.database import Database
from core.errors import ConflictError
from core.logging import get_logger
from core.metrics import gauge
from governance.dispatch import repository
from governance.dispatch.models import DispatchPolicySet
from governance.dispatch.reading import PoliciesError, read_text
from governance.dispatch.schemas import DAYS, PoliciesOut, PolicyFile, PolicyIn, TimeWindow
from governance.dispatch.snapshot import PolicySnapshot
from governance.waiting import POLL_S

DEFAULT_FILE = Path(__file__).with_name("dispatch.yaml")
"""What is in force until somebody writes their own; `configs/policies/` links to it."""

_version = gauge("dispatch_policy_version", "Version of the dispatch policies in force here")
_log = get_logger("governance.dispatch")


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What a policy is chosen by. `household_id` is for the dry run of an alarm."""

    kind: str
    severity: str
    status: str
    area: str
    household_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Compiled:
    """One policy, ready to be compared. An empty set is no condition."""

    kinds: frozenset[str]
    severities: frozenset[str]
    statuses: frozenset[str]
    areas: tuple[str, ...]
    times: tuple[tuple[frozenset[int], time, time], ...]
    snapshot: PolicySnapshot

    def fits(self, facts: PolicyFacts, at: datetime, zone: tzinfo) -> bool:
        return (
            (not self.kinds or facts.kind in self.kinds)
            and (not self.severities or facts.severity in self.severities)
            and (not self.statuses or facts.status in self.statuses)
            and (not self.areas or any(covers(area, facts.area) for area in self.areas))
            and (not self.times or _runs(self.times, at.astimezone(zone)))
        )


def _runs(windows: Sequence[tuple[frozenset[int], time, time]], local: datetime) -> bool:
    """Say whether the wall clock shows a time in one of the windows.

    An hour that is shown twice counts twice; a window inside an hour that is left out never runs.
    """
    clock, today = local.time(), local.weekday()
    yesterday = (local.date() - timedelta(days=1)).weekday()
    for days, start, until in windows:
        if start < until:
            if today in days and start <= clock < until:
                return True
        elif (today in days and clock >= start) or (yesterday in days and clock < until):
            return True
    return False


def compiled(found: PolicyFile, version: int) -> tuple[_Compiled, ...]:
    """Return the policies of a set as `Policies` compares them."""
    return tuple(_compile(policy, version) for policy in found.policies)


def _compile(policy: PolicyIn, version: int) -> _Compiled:
    match = policy.match
    return _Compiled(
        kinds=frozenset(match.kinds),
        severities=frozenset(match.severities),
        statuses=frozenset(match.statuses),
        areas=match.areas,
        times=tuple(_window(window) for window in match.times),
        snapshot=_snapshot(policy, version),
    )


def _window(window: TimeWindow) -> tuple[frozenset[int], time, time]:
    days = frozenset(DAYS.index(day) for day in window.days)
    return days, time.fromisoformat(window.start), time.fromisoformat(window.until)


def _snapshot(policy: PolicyIn, version: int) -> PolicySnapshot:
    kept = policy.model_dump(mode="json", exclude={"match", "name"})
    return cast(PolicySnapshot, {**kept, "version": version})


class Policies:
    """Chooses. `load` before the first choice; until then those that came with the hub count."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger, zone: tzinfo) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._zone = zone
        self._default_text = DEFAULT_FILE.read_text(encoding="utf-8")
        self._file = self._default = read_text(self._default_text)
        self._compiled = compiled(self._file, 0)
        self._loaded = 0

    @property
    def version(self) -> int:
        """The version that `choose` uses; 0: those that came with the hub."""
        return self._loaded

    @property
    def zone(self) -> tzinfo:
        """The site's time zone."""
        return self._zone

    def choose(self, facts: PolicyFacts, at: datetime) -> PolicySnapshot:
        """Return the first policy that fits. Pure; the result is shared and never changed."""
        return choose(self._compiled, facts, at, self._zone)

    async def load(self, session: AsyncSession) -> None:
        """Take the version that is in force, if it is another one than before.

        A set that this program cannot read (an older or newer one wrote it) leaves what was in
        force here, is logged, and is tried again.
        """
        version = await repository.latest_version(session)
        if version == self._loaded:
            return
        row = await repository.latest(session)
        try:
            text = self._default_text if row is None else row.text
            found = self._default if row is None else await asyncio.to_thread(read_text, text)
            version = 0 if row is None else row.version
        except PoliciesError as error:
            _log.error("policies_unreadable", version=version, error=str(error))
            return
        self._file, self._compiled = found, compiled(found, version)
        self._loaded = version
        _version.set(version)
        _log.info("policies_loaded", version=version, policies=len(found.policies))

    async def run(self) -> None:
        """Follow what other processes write, for ever: at most a second behind."""
        while True:
            async with self._database.read() as session:
                await self.load(session)
            await self._clock.sleep(POLL_S)

    async def show(self, session: AsyncSession) -> PoliciesOut:
        """Return the policies in force as they were written."""
        row = await repository.latest(session)
        if row is None:
            return PoliciesOut(
                version=0,
                text=self._default_text,
                policies=as_json(self._default),
                updated_at=None,
                updated_by="",
            )
        return PoliciesOut(
            version=row.version,
            text=row.text,
            policies=row.body,
            updated_at=row.updated_at,
            updated_by=row.updated_by_name,
        )

    async def replace(
        self,
        session: AsyncSession,
        actor: Actor | None,
        *,
        version: int,
        text: str,
        found: PolicyFile,
    ) -> PoliciesOut:
        """Put a whole new set into force. `version` is the one that it was made from.

        The caller calls `load` after the commit; other processes follow within a second.

        Raises:
            ConflictError: code `version-conflict`: somebody else has changed them since.
        """
        current = await self.show(session)
        if current.version != version:
            raise self._conflict(current.version)
        row = DispatchPolicySet(
            version=version + 1,
            text=text,
            body=as_json(found),
            updated_at=self._clock.now(),
            updated_by_id=None if actor is None else actor.id,
            updated_by_name="" if actor is None else actor.display_name,
        )
        try:
            await repository.add(session, row)
        except IntegrityError:
            raise self._conflict(version + 1) from None
        await self._ledger.append(
            session,
            "dispatch.policies_changed",
            actor=actor,
            subject=str(row.version),
            data={"version": row.version, **changed_ids(current.policies, row.body)},
        )
        return PoliciesOut(
            version=row.version,
            text=row.text,
            policies=row.body,
            updated_at=row.updated_at,
            updated_by=row.updated_by_name,
        )

    def _conflict(self, version: int) -> ConflictError:
        return ConflictError(
            f"The policies have changed since you looked: they are now version {version}.",
            remedy="Load them again and make your change once more.",
            code="version-conflict",
            detail={"current": {"version": version}},
        )


def choose(
    policies: Sequence[_Compiled], facts: PolicyFacts, at: datetime, zone: tzinfo
) -> PolicySnapshot:
    """Return the first of `policies` that fits; the last one always does."""
    for policy in policies:
        if policy.fits(facts, at, zone):
            return policy.snapshot
    return policies[-1].snapshot


def as_json(found: PolicyFile) -> list[dict[str, Any]]:
    """Return a set as JSON, with what was left to its usual value."""
    body: list[dict[str, Any]] = found.model_dump(mode="json", by_alias=True)["policies"]
    return body


def changed_ids(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Return which policies were added, changed, removed, or only moved, for the ledger."""
    old = {policy["id"]: policy for policy in before}
    new = {policy["id"]: policy for policy in after}
    kept_before = [name for name in old if name in new]
    kept_after = [name for name in new if name in old]
    return {
        "added": ", ".join(name for name in new if name not in old),
        "changed": ", ".join(name for name in kept_after if old[name] != new[name]),
        "removed": ", ".join(name for name in old if name not in new),
        "moved": ", ".join(
            name for name, was in zip(kept_after, kept_before, strict=True) if name != was
        ),
    }
