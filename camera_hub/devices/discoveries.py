"""Searches for cameras as jobs: begun, watched, broken off. Nothing is added by itself.

They live in memory; a hub that starts anew knows none. One runs at a time: two would find the same.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from camera_hub.devices import discovery
from camera_hub.devices.address import CameraAddress, parse_address
from camera_hub.devices.conversation import Conversation
from camera_hub.devices.discovery import Heard
from camera_hub.devices.discovery_schemas import (
    DiscoveryOut,
    DiscoveryRequest,
    FoundOut,
    SearchState,
)
from camera_hub.devices.errors import (
    CameraUnauthorisedError,
    MalformedAnswerError,
)
from camera_hub.devices.onvif import read_facts
from camera_hub.streams.reach import Reach
from core.clock import Clock
from core.errors import ConflictError, HubError, InvalidInputError, NotFoundError
from core.ids import new_id

_MOST_KEPT = 10
_MOST_FOUND = 2000
_ASKED_AT_ONCE = 16


@dataclass(eq=False)
class _Job:
    id: UUID
    request: DiscoveryRequest
    addresses: list[str]
    started_at: datetime
    state: SearchState = "running"
    done: int = 0
    message: str = ""
    ended_at: datetime | None = None
    found: dict[tuple[str, int], FoundOut] = field(default_factory=dict)
    devices: dict[tuple[str, int], str] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


class Discoveries:
    """The searches of this process."""

    def __init__(
        self, clock: Clock, reach: Reach, *, listen_s: float = 3.0, ask_s: float = 4.0
    ) -> None:
        """Listen `listen_s` for answers to a call; give each request `ask_s`."""
        self._clock = clock
        self._reach = reach
        self._listen_s = listen_s
        self._ask_s = ask_s
        self._jobs: OrderedDict[UUID, _Job] = OrderedDict()

    def begin(self, request: DiscoveryRequest) -> DiscoveryOut:
        """Begin a search and return its job.

        Raises:
            InvalidInputError: `invalid-range`, or nothing to search.
            ConflictError: code `search-running`: another one runs.
        """
        addresses = discovery.addresses_of(request.ranges, self._reach)
        if not request.multicast and not addresses:
            raise InvalidInputError(
                "This searches nowhere.",
                remedy="Search the own network, name ranges, or both.",
                code="nothing-to-do",
            )
        if any(job.state == "running" for job in self._jobs.values()):
            raise ConflictError(
                "A search for cameras is running already.",
                remedy="Wait for its end, or cancel it.",
                code="search-running",
            )
        job = _Job(new_id(), request, addresses, self._clock.now())
        self._jobs[job.id] = job
        while len(self._jobs) > _MOST_KEPT:
            self._jobs.popitem(last=False)
        job.task = asyncio.create_task(self._run(job))
        return self._describe(job, {})

    def read(self, job_id: UUID, known: Mapping[tuple[str, int], UUID]) -> DiscoveryOut:
        """Return a search; `known` has the cameras of the site by host and port.

        Raises:
            NotFoundError: there is none, or the hub has started anew since.
        """
        return self._describe(self._job(job_id), known)

    async def cancel(self, job_id: UUID) -> None:
        """Break a search off; what it has found stays.

        Raises:
            NotFoundError: there is none.
        """
        job = self._job(job_id)
        if job.task is not None and not job.task.done():
            job.task.cancel()
            with suppress(asyncio.CancelledError):
                await job.task
        if job.state == "running":
            # It was broken off before it had begun.
            job.state, job.ended_at = "cancelled", self._clock.now()

    async def wait(self, job_id: UUID) -> None:
        """Wait for the end of a search.

        Raises:
            NotFoundError: there is none.
        """
        task = self._job(job_id).task
        if task is not None:
            await asyncio.wait([task])

    async def close(self) -> None:
        """Break every search off."""
        for job_id in list(self._jobs):
            await self.cancel(job_id)

    def _job(self, job_id: UUID) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError("There is no such search.", remedy="Begin a new one.")
        return job

    async def _run(self, job: _Job) -> None:
        try:
            await self._search(job)
            job.state = "done"
        except asyncio.CancelledError:
            job.state = "cancelled"
            raise
        except OSError as error:
            job.state, job.message = "failed", f"The network cannot be searched: {error.strerror}."
        finally:
            job.ended_at = self._clock.now()
            # What was given for this search is not kept after it.
            job.request = job.request.model_copy(update={"username": "", "password": None})

    async def _search(self, job: _Job) -> None:
        request = job.request
        slots = asyncio.Semaphore(_ASKED_AT_ONCE)
        asking: set[asyncio.Task[None]] = set()

        async def look(one: Heard) -> None:
            async with slots:
                try:
                    found = await self._look(one, request)
                except HubError as error:
                    found = _found(one, "silent", message=error.message)
                job.found[(one.host, one.port)] = found

        def take(one: Heard) -> None:
            key = (one.host, one.port)
            if key in job.found or len(job.found) >= _MOST_FOUND:
                return
            job.found[key] = _found(one, "found")
            job.devices[key] = one.device
            if one.kind == "onvif":
                task = asyncio.create_task(look(one))
                asking.add(task)
                task.add_done_callback(asking.discard)

        def step() -> None:
            job.done += 1

        try:
            async for one in self._sources(request, job.addresses, step):
                take(one)
            while asking:
                await asyncio.wait(set(asking))
        finally:
            for task in list(asking):
                task.cancel()

    async def _sources(
        self, request: DiscoveryRequest, addresses: list[str], step: Callable[[], None]
    ) -> AsyncIterator[Heard]:
        port = request.discovery_port
        if request.multicast:
            on = [request.interface] if request.interface else discovery.interfaces()
            async for one in discovery.call_out(
                self._clock, self._reach, on, seconds=self._listen_s, port=port
            ):
                yield one
        if addresses:
            async for one in discovery.call_each(
                self._clock, self._reach, addresses, seconds=self._listen_s, port=port
            ):
                yield one
            ports = request.ports or discovery.ONVIF_PORTS
            rtsp_ports = discovery.RTSP_PORTS if request.rtsp_ports is None else request.rtsp_ports
            async for one in discovery.knock(addresses, ports, rtsp_ports, self._is_onvif, step):
                yield one

    async def _is_onvif(self, host: str, port: int) -> Heard | None:
        """Ask an open port for its clock, which needs no account; None if it is no ONVIF device."""
        if self._reach.refusal(ipaddress.ip_address(host), port):
            return None
        camera = parse_address("onvif", f"{host}:{port}", self._reach)
        async with Conversation(camera, self._clock, timeout_s=self._ask_s) as talk:
            try:
                await talk.read_time()
            except MalformedAnswerError:
                # It speaks SOAP, only badly.
                return Heard("onvif", host, port)
            except HubError:
                # A page that asks for a password, for one.
                return None
        return Heard("onvif", host, port)

    async def _look(self, one: Heard, request: DiscoveryRequest) -> FoundOut:
        """Ask a device what it is, with the account given for this search if there is one."""
        camera = parse_address("onvif", one.address, self._reach)
        password = "" if request.password is None else request.password.get_secret_value()
        camera = CameraAddress(
            host=camera.host,
            port=camera.port,
            url=camera.url,
            text=camera.text,
            username=request.username,
            password=password,
            reach=self._reach,
        )
        async with Conversation(camera, self._clock, timeout_s=self._ask_s) as talk:
            try:
                await talk.read_time()
                facts = await read_facts(talk)
            except CameraUnauthorisedError:
                state = "refused" if request.username else "found"
                told = "It refuses the account given for this search." if request.username else ""
                return _found(one, state, message=told, clock_offset_s=_seconds(talk.offset))
        # Some say of a wrong account no more than that something is wrong.
        return _found(
            one,
            "identified" if facts.manufacturer or facts.model else "found",
            manufacturer=facts.manufacturer,
            model=facts.model or one.model,
            clock_offset_s=_seconds(talk.offset),
        )

    def _describe(self, job: _Job, known: Mapping[tuple[str, int], UUID]) -> DiscoveryOut:
        def key(place: tuple[str, int]) -> tuple[int, int]:
            return int(ipaddress.ip_address(place[0])), place[1]

        found = []
        for place in sorted(_without_doubles(job.found, job.devices), key=key):
            one = job.found[place]
            camera_id = known.get(place)
            found.append(one.model_copy(update={"known_camera_id": camera_id}))
        return DiscoveryOut(
            id=job.id,
            state=job.state,
            done=job.done,
            total=len(job.addresses),
            message=job.message,
            started_at=job.started_at,
            ended_at=job.ended_at,
            found=found,
        )


def _without_doubles(
    found: Mapping[tuple[str, int], FoundOut], devices: Mapping[tuple[str, int], str]
) -> Iterable[tuple[str, int]]:
    """Leave out what is there already.

    That is the RTSP port of a device that speaks ONVIF, which is added by that, and the IPv6
    address of a device that has answered from an IPv4 address too.
    """
    speaks_onvif = {host for (host, _), one in found.items() if one.source_kind == "onvif"}
    on_4 = {device for (host, _), device in devices.items() if device and ":" not in host}
    return [
        place
        for place, one in found.items()
        if (one.source_kind == "onvif" or place[0] not in speaks_onvif)
        and not (":" in place[0] and devices.get(place) in on_4)
    ]


def _seconds(offset: timedelta | None) -> float | None:
    return None if offset is None else offset.total_seconds()


def _found(one: Heard, state: str, **more: object) -> FoundOut:
    return FoundOut.model_validate(
        {
            "address": one.address,
            "source_kind": one.kind,
            "name": one.name,
            "manufacturer": "",
            "model": one.model,
            "state": state,
            **more,
        }
    )
