"""The load generator of `bench/closed_loop.py`: a process of its own, plain HTTP over kept sockets.

`python -m bench.lib_closed_loop_load PLAN` reads a plan (JSON) and prints what it measured (JSON).
A plan: `{"mode": "flood" | "press" | "list", "host", "port", "path", "headers", "seconds", ...}`.
"""

import asyncio
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from core.clock import SystemClock
from core.ids import new_id

Plan = dict[str, Any]
clock = SystemClock()


class Line:
    """A kept connection."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    async def open(self) -> "Line":
        self._reader, self._writer = await asyncio.open_connection(
            self._plan["host"], self._plan["port"]
        )
        return self

    async def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, bytes]:
        """Send a request and return the status and the body of the answer."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._plan['host']}:{self._plan['port']}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self._writer.write("\r\n".join(lines).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(" ", 2)[1])
        fields = dict(
            line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
        )
        if "content-length" in fields:
            return status, await self._reader.readexactly(int(fields["content-length"]))
        content = b""
        while size := int(await self._reader.readline(), 16):
            content += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return status, content


def signal() -> dict[str, Any]:
    """One event that opens an incident of its own."""
    event_id = str(new_id())
    return {
        "specversion": "1.0", "id": event_id, "source": "/bench", "type": "com.example.sensor",
        "data": {
            "event_key": event_id, "category": "Safety", "urgency": "Immediate",
            "severity": "Moderate", "certainty": "Likely", "headline": "Door left open",
            "area": "bench/garden",
        },
    }  # fmt: skip


def alert() -> dict[str, Any]:
    """The same for Alerta."""
    return {
        "resource": str(new_id()), "event": "DoorOpen", "environment": "Production",
        "severity": "minor", "service": ["garden"], "text": "Door left open", "group": "Safety",
    }  # fmt: skip


MAKERS: dict[str, Callable[[], Any]] = {"signal": signal, "alert": alert}


async def flood(plan: Plan) -> dict[str, Any]:
    """Post as fast as `connections` allow, `batch` at a time, for `seconds`."""
    make, batch = MAKERS[plan["make"]], plan["batch"]
    stop = time.monotonic() + plan["seconds"]
    taken: list[float] = []
    refused = 0

    async def one() -> None:
        nonlocal refused
        line = await Line(plan).open()
        while time.monotonic() < stop:
            body = json.dumps(make() if batch == 1 else [make() for _ in range(batch)]).encode()
            began = time.monotonic()
            status, _ = await line.ask("POST", plan["path"], plan["headers"], body)
            taken.append(time.monotonic() - began)
            refused += status not in {200, 201}

    began = time.monotonic()
    await asyncio.gather(*(one() for _ in range(plan["connections"])))
    seconds = time.monotonic() - began
    rate = (len(taken) - refused) * batch / seconds
    return {"per_s": round(rate), "p99_ms": percentile(taken, 0.99), "refused": refused}


async def press(plan: Plan) -> dict[str, Any]:
    """Post each of `bodies` with its headers at `rate` a second; hear of them on the console."""
    lines: asyncio.Queue[Line] = asyncio.Queue()
    for _ in range(plan["connections"]):
        lines.put_nowait(await Line(plan).open())
    receipts: list[float] = []
    pressed: dict[str, float] = {}
    shown: dict[str, float] = {}
    console = None
    if plan.get("console"):
        console = asyncio.create_task(_console(plan, shown))
        await asyncio.sleep(1.0)
    begun = time.monotonic()

    async def one(number: int, headers: dict[str, str], body: dict[str, Any]) -> None:
        await asyncio.sleep(max(0.0, begun + number / plan["rate"] - time.monotonic()))
        if "pressed_at" in body:
            body["pressed_at"] = clock.now().isoformat()
        at = time.monotonic()
        line = await lines.get()
        content = json.dumps(body).encode()
        status, answer = await line.ask("POST", plan["path"], headers, content)
        receipts.append(time.monotonic() - at)
        lines.put_nowait(line)
        if status not in {200, 201}:
            raise RuntimeError(f"{status}: {answer[:300]!r}")
        pressed[str(json.loads(answer).get("incident_id"))] = at

    await asyncio.gather(*(one(n, h, b) for n, (h, b) in enumerate(plan["bodies"])))
    found = {
        "receipt_ms_p50": percentile(receipts, 0.5),
        "receipt_ms_p99": percentile(receipts, 0.99),
    }
    if console is not None:
        deadline = time.monotonic() + 10
        while not pressed.keys() <= shown.keys() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        console.cancel()
        late = [shown[i] - at for i, at in pressed.items() if i in shown]
        found |= {"console_ms_p95": percentile(late, 0.95), "unseen": len(pressed) - len(late)}
    return found


async def _console(plan: Plan, shown: dict[str, float]) -> None:
    reader, writer = await asyncio.open_connection(plan["host"], plan["port"], limit=2**22)
    head = "".join(f"{name}: {value}\r\n" for name, value in plan["console"].items())
    writer.write(
        f"GET /api/v1/events HTTP/1.1\r\nHost: {plan['host']}:{plan['port']}\r\n{head}\r\n".encode()
    )
    while line := await reader.readline():
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            if "id" in event:
                shown.setdefault(event["id"], time.monotonic())


async def look(plan: Plan) -> dict[str, Any]:
    """Ask for the same page `times` times, one after another."""
    line = await Line(plan).open()
    taken = []
    for _ in range(plan["times"]):
        began = time.monotonic()
        status, _ = await line.ask("GET", plan["path"], plan["headers"])
        taken.append(time.monotonic() - began)
        if status != 200:
            raise RuntimeError(f"the list answered {status}")
    return {"list_ms_p95": percentile(taken, 0.95)}


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return a percentile in milliseconds, by the nearest rank."""
    ordered = sorted(seconds)
    return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 1) if ordered else math.nan


if __name__ == "__main__":
    given: Plan = json.loads(sys.stdin.read())
    modes = {"flood": flood, "press": press, "list": look}
    print(json.dumps(asyncio.run(modes[given["mode"]](given))))
