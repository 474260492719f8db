"""Signs the ledger while the hub runs; what keeps it from signing is a fault in the queue."""

from analytics.rules.signal import fault_signal
from analytics.rules.types import Phase
from api.hub import Hub
from core.ids import new_id
from governance.signals.reading import read_signal

SOURCE = "/ledger"


async def sign_ledger(hub: Hub) -> None:
    """Sign until cancelled; runs under `supervise`."""
    key = ""

    async def report(trouble: str) -> None:
        nonlocal key
        if not trouble and not key:
            return
        phase: Phase = "started" if trouble and not key else "continuing" if trouble else "ended"
        key = key or f"ledger:signing:{new_id()}"
        raw = fault_signal(
            hub.clock,
            source=SOURCE,
            kind="process.failed",
            phase=phase,
            event_key=key,
            headline=f"The ledger is not signed: {trouble}" if trouble else "The ledger is signed",
            severity="severe",
            subject="ledger",
            area=hub.settings.site.area,
        )
        async with hub.database.transaction() as session:
            await hub.governance.signals.intake(
                session, read_signal(raw, hub.clock.now()), camera=None
            )
        if not trouble:
            key = ""

    await hub.signer.run(report)
