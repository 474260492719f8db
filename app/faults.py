"""Tells the queue that a process of this node died, through a spool of the supervisor's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from analytics.rules.signal import Signal, fault_signal
from analytics.rules.types import Phase
from analytics.spool.poster import SignalPoster
from analytics.spool.store import Spool
from app.worker_token import token_reader
from core.clock import Clock
from core.ids import new_id
from core.settings import Settings

SOURCE = "/supervisor"


class FaultReporter:
    """Turns deaths and returns of processes into `process.failed` signals."""

    def __init__(self, settings: Settings, clock: Clock, base_url: str) -> None:
        self._clock = clock
        self._area = settings.site.area
        self._spool = Spool(settings.spool_dir / "supervisor")
        self._poster = SignalPoster(
            self._spool,
            clock,
            base_url=base_url,
            token=token_reader(settings),
            source=SOURCE,
            area=self._area,
        )
        self._running: dict[str, str] = {}

    @asynccontextmanager
    async def posting(self) -> AsyncIterator[None]:
        """Post what waits while the block runs; what is left stays in the spool."""
        self._poster.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._poster.close)

    def put(self, signal: Signal) -> bool:
        """Keep a signal of this node durably, to be posted."""
        return self._spool.put(signal)

    def report(self, name: str, what: str, running: bool) -> None:
        """Note that the process `name` died (`what` says how) or is running again."""
        key = self._running.get(name)
        if running and key is None:
            return
        phase: Phase = "ended" if running else ("continuing" if key else "started")
        key = key or f"process:{name}:{new_id()}"
        if running:
            self._running.pop(name, None)
        else:
            self._running[name] = key
        headline = f"Process '{name}' is running again" if running else f"Process '{name}': {what}"
        self._spool.put(
            fault_signal(
                self._clock,
                source=SOURCE,
                kind="process.failed",
                phase=phase,
                event_key=key,
                headline=headline,
                severity="moderate",
                subject=name,
                area=self._area,
            )
        )
