"""The closed loop under load: a real api process, real HTTP, both stores, Alerta beside them.

The load generator is a process of its own on the same machine. Every commit is durable
(SQLite `synchronous=FULL`, PostgreSQL `fsync=on`). For `sqlite` and `postgresql`:

- `receipt_ms_p99`: alarms of 200 households at 50 a second, from the press to the receipt.
- `console_ms_p95`: the same alarms, from the press to the event stream of the duty desk.
- `single_per_s`: signals that each open an incident, posted singly over 32 kept connections.
- `batch_per_s`: the same in batches of 100 over 4 connections.
- `list_ms_p95`: a page of 50 of at least 10,000 open incidents.
- `escalation_late_ms_p99`: how late a timer fires while 100,000 are open.

`alerta` (alerta-server on PostgreSQL behind gunicorn) does the same work where it can: it takes
alerts singly and has no stream; whoever wants to see them asks again and again. The ratios
`times_alerta_*` are above 1 where the hub is better.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.lib_closed_loop_hub import DUE, DUE_AFTER_S, DUE_WITHIN_S, KINDS
from bench.lib_closed_loop_load import percentile
from bench.lib_closed_loop_peers import ROOT, Postgres, alerta, free_port, postgres, wait_for
from core.ids import new_id

RATE = 50
OPEN_INCIDENTS = 10_000
TIMERS = 100_000
BATCH = 100
ALERTA_FILL_S = 20.0
"""Alerta gets this long to come to as many open alerts; its page may be of fewer (`list_of`)."""
_JSON = {"Content-Type": "application/json"}


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr)


@contextmanager
def hub(url: str, timers: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Run the hub on a store; yield its port and what the load generator needs."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="camera-hub-bench-") as name:
        log = (Path(name) / "log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.lib_closed_loop_hub", url, name, str(port), str(timers)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError((Path(name) / "log").read_text()[-3000:])
            # Its log goes on the same way; nobody may wait for a full pipe.
            drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
            wait_for(f"http://127.0.0.1:{port}/api/v1/health/live")
            yield port, json.loads(line)
            process.terminate()
            process.wait(timeout=30)
            drain.wait(timeout=10)
        finally:
            process.kill()
            log.close()


def load(port: int, **plan: Any) -> dict[str, Any]:
    """Run the load generator and return what it measured."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.lib_closed_loop_load"],
        input=json.dumps({"host": "127.0.0.1", "port": port, **plan}),
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure_hub(url: str, seconds: float) -> dict[str, Any]:
    """Return the figures of the hub on the empty store at `url`."""
    with hub(url) as (port, facts):
        duty = {"Cookie": f"camera_hub_session={facts['cookie']}"}
        presses = [
            ({**_JSON, "Authorization": f"Bearer {secret}"},
             {"id": str(new_id()), "kind": kind, "pressed_at": ""})
            for kind in KINDS for secret in facts["devices"]
        ][: int(RATE * seconds * 2)]  # fmt: skip
        pressed = load(
            port, mode="press", path="/api/v1/alarms", bodies=presses, rate=RATE,
            connections=32, console=duty,
        )  # fmt: skip
        say(f"   press: {pressed}")
        token = {"Authorization": f"Bearer {facts['poster']}"}
        one = {**token, "Content-Type": "application/cloudevents+json"}
        flood = {"mode": "flood", "path": "/api/v1/signals", "make": "signal", "seconds": seconds}
        single = load(port, **flood, headers=one, connections=32, batch=1)
        say(f"   singly: {single}")
        batches = {**token, "Content-Type": "application/cloudevents-batch+json"}
        batch = load(port, **flood, headers=batches, connections=4, batch=BATCH)
        say(f"   in batches: {batch}")
        missing = OPEN_INCIDENTS - int((single["per_s"] + batch["per_s"]) * seconds) + 500
        if missing > 0:
            more = {**flood, "seconds": max(1.0, missing / batch["per_s"] * 1.5)}
            load(port, **more, headers=batches, connections=4, batch=BATCH)
        time.sleep(2)
        listed = load(port, mode="list", path="/api/v1/incidents?state=open&limit=50",
                      headers=duty, times=100)  # fmt: skip
        say(f"   list: {listed}")
    return {
        "receipt_ms_p99": pressed["receipt_ms_p99"],
        "console_ms_p95": pressed["console_ms_p95"],
        "single_per_s": single["per_s"],
        "batch_per_s": batch["per_s"],
        "list_ms_p95": listed["list_ms_p95"],
    }


def measure_escalation(url: str, fired: Any) -> float:
    """Return how late timers fire (p99, ms) while 100,000 are open in the empty store at `url`."""
    with hub(url, TIMERS):
        time.sleep(DUE_AFTER_S + DUE_WITHIN_S + 3)
        late = fired()
    if len(late) < DUE:
        say(f"   only {len(late)} of {DUE} timers have fired")
    return percentile(late, 0.99)


def _fired_sqlite(path: Path) -> list[float]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT due_at, fired_at FROM timer WHERE fired_at IS NOT NULL AND attempt = 0"
        ).fetchall()
    moments = [(datetime.fromisoformat(due), datetime.fromisoformat(at)) for due, at in rows]
    return [(at - due).total_seconds() for due, at in moments]


def _fired_postgres(server: Postgres, name: str) -> list[float]:
    done = subprocess.run(
        ["psql", "-h", str(server.directory), "-U", "postgres", "-d", name, "-Atc",
         "SELECT extract(epoch FROM fired_at - due_at) FROM timer "
         "WHERE fired_at IS NOT NULL AND attempt = 0"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [float(line) for line in done.stdout.split()]


def measure_alerta(server: Postgres, seconds: float) -> dict[str, Any] | None:
    """Return what Alerta does of the same work."""
    with alerta(server) as port:
        if port is None:
            return None
        from bench.lib_closed_loop_load import alert

        bodies = [(_JSON, alert()) for _ in range(int(RATE * seconds * 2))]
        pressed = load(port, mode="press", path="/alert", bodies=bodies, rate=RATE, connections=32)
        single = load(port, mode="flood", path="/alert", make="alert", headers=_JSON,
                      seconds=seconds, connections=32, batch=1)  # fmt: skip
        there = int(single["per_s"] * seconds) + len(bodies)
        if there < OPEN_INCIDENTS:
            fill_s = min(ALERTA_FILL_S, (OPEN_INCIDENTS - there) / max(1, single["per_s"]))
            more = load(port, mode="flood", path="/alert", make="alert", headers=_JSON,
                        connections=32, batch=1, seconds=fill_s)  # fmt: skip
            there += int(more["per_s"] * fill_s)
        listed = load(port, mode="list", path="/alerts?status=open&page=1&page-size=50",
                      headers=_JSON, times=30)  # fmt: skip
    return {
        "receipt_ms_p99": pressed["receipt_ms_p99"],
        "single_per_s": single["per_s"],
        "list_ms_p95": listed["list_ms_p95"],
        "list_of": there,
    }


def run(*, long: bool) -> dict[str, Any]:
    """Measure both stores and the peer; figures by store."""
    seconds = 15.0 if long else 6.0
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="camera-hub-bench-") as name, postgres() as server:
        say("sqlite")
        figures["sqlite"] = measure_hub(f"sqlite+aiosqlite:///{name}/load.db", seconds)
        timers = Path(name) / "timers.db"
        figures["sqlite"]["escalation_late_ms_p99"] = measure_escalation(
            f"sqlite+aiosqlite:///{timers}", lambda: _fired_sqlite(timers)
        )
        if server is None:
            return figures
        say("postgresql")
        figures["postgresql"] = measure_hub(server.create("load"), seconds)
        figures["postgresql"]["escalation_late_ms_p99"] = measure_escalation(
            server.create("timers"), lambda: _fired_postgres(server, "timers")
        )
        say("alerta")
        peer = measure_alerta(server, seconds)
    if peer is not None:
        figures["alerta"] = peer
        ours = figures["postgresql"]
        figures["times_alerta_single"] = round(ours["single_per_s"] / peer["single_per_s"], 1)
        figures["times_alerta_batch"] = round(ours["batch_per_s"] / peer["single_per_s"], 1)
        for what in ("receipt_ms_p99", "list_ms_p95"):
            short = what.split("_", 1)[0]
            figures[f"times_alerta_{short}"] = round(peer[what] / ours[what], 1)
    return figures
