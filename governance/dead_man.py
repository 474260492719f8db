"""A dead man's switch: an address elsewhere hears from the hub only while all is well.

What goes wrong with a hub that stands still, it cannot say itself. A monitoring service that
expects a request each minute, and rings somebody when none comes, can.
"""

from datetime import timedelta

import orjson

from core.clock import Clock
from core.database import Database
from core.logging import get_logger
from core.metrics import counter
from core.outbound import Outbound, OutboundAddressError, OutboundFailedError
from core.settings_loop import HeartbeatSettings
from governance.auditor import INTERVAL_S, Auditor
from governance.beats import repository as beats

FRESH = timedelta(seconds=INTERVAL_S * 2.5)
"""An audit older than this says nothing about now."""

_sent = counter("heartbeats", "Heartbeats sent to the dead man's switch", ("outcome",))
_log = get_logger("governance.dead_man")


class DeadMan:
    """Sends the heartbeat of one process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: HeartbeatSettings,
        *,
        outbound: Outbound,
        auditor: Auditor,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._outbound = outbound
        self._auditor = auditor

    async def run(self) -> None:
        """Beat for ever. The store's errors are raised: a hub without its store is not well."""
        while True:
            await self.beat()
            await self._clock.sleep(self._settings.interval_s)

    async def beat(self) -> bool:
        """Send one heartbeat if all is well; say whether it was sent and taken."""
        reason = await self.unwell()
        if reason:
            _sent.labels("withheld").inc()
            _log.error("heartbeat_withheld", reason=reason)
            return False
        body = orjson.dumps({"status": "ok", "at": self._clock.now().isoformat()})
        try:
            answer = await self._outbound.post(
                self._settings.url.get_secret_value(), body, {"Content-Type": "application/json"}
            )
        except (OutboundFailedError, OutboundAddressError) as error:
            _sent.labels("failed").inc()
            _log.warning("heartbeat_not_sent", error=str(error))
            return False
        taken = 200 <= answer.status < 300
        _sent.labels("sent" if taken else "failed").inc()
        if not taken:
            _log.warning("heartbeat_not_taken", status=answer.status)
        return taken

    async def unwell(self) -> str:
        """Return what is wrong, or an empty string."""
        found = self._auditor.last
        if found is None:
            return "no audit yet"
        if self._clock.now() - found.at > FRESH:
            return "the auditor stands still"
        if not found.all_is_well:
            return f"standing still: {', '.join(sorted(found.standing_still))}"
        # A store that answers and cannot write is no store.
        async with self._database.transaction() as session:
            await beats.write(session, "hub", self._clock.now())
        return ""
