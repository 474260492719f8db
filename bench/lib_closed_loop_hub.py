"""The hub that `bench/closed_loop.py` measures: a real api process on a fresh store.

`python -m bench.lib_closed_loop_hub URL DATA_DIR PORT TIMERS` prints one line of JSON with what
the load generator needs, then serves until SIGTERM. With TIMERS > 0 it first puts that many open
timers into the store, of which some come due soon after the start.
"""

import json
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from access.policy.types import Role, RoleBinding
from api.app import make_server
from api.hub import Hub, build_hub
from app.migrate import upgrade
from core.clock import SystemClock
from core.database import insert_rows
from core.ids import new_id
from core.logging import configure_logging
from core.memory import freeze_what_stays
from core.settings import DatabaseSettings, ServerSettings, Settings
from governance.incidents.models import Incident
from governance.incidents.opening import NewIncident
from governance.incidents.repository import next_number
from governance.outbox import service as outbox
from governance.timers.models import Timer

AREA = "bench/garden"
HOUSEHOLDS = 200
KINDS = ("fire", "medical", "security")
DUE = 200
"""Timers that come due while the others wait."""
DUE_AFTER_S, DUE_WITHIN_S = 8.0, 6.0
_CHUNK = 5000


async def people(hub: Hub) -> dict[str, Any]:
    """Make a token that posts, households with a device each, and somebody on duty."""
    password = await hub.accounts.hash_password(str(new_id()), username="duty")
    devices = []
    async with hub.database.transaction() as session:
        _, poster = await hub.tokens.issue(session, name="bench", scopes=["signal.post"])
        account = await hub.accounts.create(
            session, username=f"duty-{new_id().hex[-8:]}", display_name="Duty",
            password=password, roles=[RoleBinding(Role.DUTY_STAFF, "bench")],
        )  # fmt: skip
        opened = await hub.sessions.open(session, account.id, address="", user_agent="bench")
        for number in range(HOUSEHOLDS):
            home = await hub.households.create(session, None, name=f"Flat {number}", area=AREA)
            _, secret = await hub.tokens.issue(
                session, name=f"Button {number}", scopes=["alarm.press", "alarm.follow"],
                household_id=home.id,
            )  # fmt: skip
            devices.append(secret)
    return {"poster": poster, "devices": devices, "cookie": opened.token}


async def put_timers(hub: Hub, count: int, *, soon: bool) -> None:
    """Put `count` open incidents with a timer each into the store, due soon or tomorrow."""
    now = hub.clock.now()
    async with hub.database.transaction() as session:
        await outbox.serialise(session)
        last = await next_number(session, now.year, count)
        for first in range(0, count, _CHUNK):
            made = [
                hub.governance.incidents.opening(_new(hub), last - count + n + 1, now)
                for n in range(first, min(first + _CHUNK, count))
            ]
            for number, opened in enumerate(made, first):
                after_s = 86_400.0 + number % 3600
                if soon:
                    after_s = DUE_AFTER_S + DUE_WITHIN_S * number / count
                opened.incident.policy = {}
                opened.incident.next_due_at = opened.timer["due_at"] = now + timedelta(
                    seconds=after_s
                )
                opened.timer["kind"] = "acknowledge"
            rows = [
                {k: v for k, v in vars(opened.incident).items() if not k.startswith("_")}
                for opened in made
            ]
            await insert_rows(session, Incident, rows)
            await insert_rows(session, Timer, [opened.timer for opened in made])


def _new(hub: Hub) -> NewIncident:
    return NewIncident(
        kind="other", type="com.example.sensor", category="Safety", urgency="immediate",
        severity="minor", certainty="likely", status="actual", dedup_key=str(new_id()),
        headline="Door left open", area=AREA, camera_id=None, camera_name="", zone_name="",
        observed_at=hub.clock.now(),
    )  # fmt: skip


async def main(url: str, data_dir: Path, port: int, timers: int) -> None:
    """Prepare and serve."""
    settings = Settings(
        data_dir=data_dir,
        database=DatabaseSettings(url=url),
        server=ServerSettings(host="127.0.0.1", port=port),
    )
    hub = build_hub(settings, SystemClock())
    await upgrade(hub.database)
    facts = await people(hub)
    # As `camera-hub serve` hands it over: a socket that knows its protocol sends without delay.
    listener = socket.socket(fileno=socket.create_server(("127.0.0.1", port)).detach())
    server = make_server(hub)
    if timers:
        await put_timers(hub, timers - DUE, soon=False)
        # Last, so that none is due before somebody is there to fire it.
        await put_timers(hub, DUE, soon=True)
    freeze_what_stays()
    print(json.dumps(facts), flush=True)
    await server.serve(sockets=[listener])
    await hub.close()


if __name__ == "__main__":
    configure_logging("info")
    # The event loop of `app/process.py`.
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
