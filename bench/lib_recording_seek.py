"""How long a jump to any time of a month takes, over HTTP against a hub process of its own.

The index has 43,200 segments of one camera (30 days in files of a minute). The files of the times
that are asked for are real (640x360, 25 fps, about 1 Mbit/s, a keyframe each second) and are thrown
out of the page cache before; the others are rows only. A jump is what the console does: the
segments around the time, then media until the bytes of the first part are there. With `--browser`
the console does it itself, in Chromium (`lib_recording_opening`).

`python -m bench.lib_recording_seek [--browser]` prints the figures; `… serve DATA_DIR` is the hub.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np

from access.policy.types import Role, RoleBinding
from api.app import make_server
from api.door import COOKIE, CSRF_HEADER
from api.hub import Hub, build_hub
from app.migrate import upgrade
from bench.lib_recording_opening import opening
from camera_hub.devices.models import Camera
from camera_hub.live.muxer import Muxer
from camera_hub.recording.format import SegmentHeader, microseconds
from camera_hub.recording.index.models import Segment
from camera_hub.recording.writing import SegmentWriter
from camera_hub.streams.parameters import parameter_sets, read_info
from core.clock import SystemClock
from core.database import insert_rows
from core.ids import new_id
from core.logging import configure_logging
from core.settings import DatabaseSettings, ServerSettings, Settings

DAYS = 30
SEEKS = 120
FPS = 25
WIDTH, HEIGHT = 640, 360
_MINUTES = DAYS * 24 * 60
_SEED = 7


def _units() -> list[bytes]:
    """Return a minute of H.264 with some movement and noise, as access units."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate = Fraction(FPS)
    encoder.time_base = Fraction(1, FPS)
    encoder.bit_rate = 1_000_000
    encoder.options = {
        "preset": "ultrafast", "tune": "zerolatency",
        "x264-params": f"keyint={FPS}:min-keyint={FPS}:scenecut=0:repeat-headers=1:slices=1",
    }  # fmt: skip
    noise = np.random.default_rng(_SEED)
    grain = noise.integers(0, 24, (8, HEIGHT, WIDTH, 3), dtype=np.uint8)
    packets = []
    for number in range(60 * FPS):
        picture = grain[number % 8] + np.uint8(96)
        left = number * 3 % (WIDTH - 80)
        picture[120:240, left : left + 80] = 220
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [bytes(packet) for packet in packets]


def _packets(units: list[bytes]) -> list[Any]:
    packets = []
    for number, unit in enumerate(units):
        packet: Any = av.Packet(unit)
        packet.time_base = Fraction(1, 90_000)
        packet.pts = packet.dts = number * 3600
        packet.is_keyframe = number % FPS == 0
        packets.append(packet)
    return packets


def _rows(camera_id: Any, first: datetime, codec: str, size: int) -> list[dict[str, Any]]:
    rows = []
    for minute in range(_MINUTES):
        at = first + timedelta(minutes=minute)
        rows.append(
            {
                "id": new_id(), "camera_id": camera_id, "role": "sub", "started_at": at,
                "ends_at": at + timedelta(minutes=1), "bytes": size, "sha256": "", "disk": "main",
                "path": f"{camera_id}/{at:%Y-%m-%d}/{at:%H%M%S}-{minute}-sub.mp4",
                "sequence": minute, "codec": codec, "width": WIDTH, "height": HEIGHT,
                "cause": "always", "clock": "steady", "motion": "", "deleting": False,
            }
        )  # fmt: skip
    return rows


async def _fill(hub: Hub, first: datetime) -> dict[str, Any]:
    """Make camera, rows, the files of the times that will be asked for, and somebody who asks."""
    camera_id, units = new_id(), _units()
    packets = _packets(units)
    info = read_info("h264", parameter_sets("h264", units[0]), units[0], Fraction(1, 90_000))
    init = Muxer(info, units[0]).init
    rows = _rows(camera_id, first, init.codec, sum(map(len, units)))
    # In pairs of neighbours, so that somebody can go on by a minute.
    pairs = random.Random(_SEED).sample(range(0, _MINUTES, 2), SEEKS // 2)
    chosen = [minute for pair in pairs for minute in (pair, pair + 1)]
    disk = hub.settings.recording_disks[0].path
    for minute in chosen:
        row = rows[minute]
        writer = SegmentWriter(init.data, Fraction(1, 90_000), 0)
        header = SegmentHeader(
            "bench", camera_id, "sub", row["id"], minute, row["started_at"], init.codec, WIDTH,
            HEIGHT, "always",
        )  # fmt: skip
        content = [writer.begin(header)]
        begin = microseconds(row["started_at"])
        for number in range(0, len(packets), FPS):
            wall = begin + number * 1_000_000 // FPS
            content.append(writer.part(packets[number : number + FPS], (number + FPS) * 3600, wall))
        content.append(writer.finish())
        data = b"".join(content)
        row["bytes"], row["sha256"] = len(data), sha256(data).hexdigest()
        path = disk / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            # The first look at a recording finds nothing in memory.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    password = await hub.accounts.hash_password(str(new_id()), username="seeker")
    async with hub.database.transaction() as session:
        session.add(
            Camera(
                id=camera_id, name="Gate", area="bench", place_kind="public_space",
                source_kind="rtsp", address="rtsp://192.0.2.1/", enabled=False,
                created_at=hub.clock.now(),
            )
        )  # fmt: skip
        await session.flush()
        for number in range(0, len(rows), 2000):
            await insert_rows(session, Segment, rows[number : number + 2000])
        account = await hub.accounts.create(
            session, username="seeker", display_name="Seeker", password=password,
            roles=[RoleBinding(Role.OPERATOR, "bench")],
        )  # fmt: skip
        opened = await hub.sessions.open(session, account.id, address="", user_agent="bench")
    return {
        "cookie": opened.token, "csrf": opened.csrf_token, "camera_id": str(camera_id),
        "first": first.isoformat(), "minutes": chosen,
    }  # fmt: skip


async def _serve(data_dir: Path) -> None:
    configure_logging("error")
    listener = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    port = listener.getsockname()[1]
    settings = Settings(
        data_dir=data_dir,
        database=DatabaseSettings(url=f"sqlite+aiosqlite:///{data_dir}/hub.db"),
        server=ServerSettings(host="127.0.0.1", port=port),
    )
    hub = build_hub(settings, SystemClock())
    await upgrade(hub.database)
    today = hub.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    facts = await _fill(hub, today - timedelta(days=DAYS))
    server = make_server(hub)
    print(json.dumps({**facts, "port": port}), flush=True)
    await server.serve(sockets=[listener])
    await hub.close()


def _first_part(pieces: Any) -> int:
    """Read a body until its first part (prft, moof, mdat) is there; return its bytes."""
    data, wanted = b"", 0
    for piece in pieces:
        data += piece
        position = 0
        for _ in range(3):
            if len(data) < position + 8:
                break
            position += struct.unpack_from(">I", data, position)[0]
        else:
            wanted = position
        if wanted and len(data) >= wanted:
            return wanted
    raise RuntimeError("the hub gave no whole part")


def _seek(facts: dict[str, Any]) -> dict[str, float]:
    """Jump to every chosen minute once; return the figures in milliseconds."""
    whole, media = [], []
    first = datetime.fromisoformat(facts["first"])
    times = random.Random(_SEED + 1)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{facts['port']}/api/v1", timeout=20,
        cookies={COOKIE: facts["cookie"]}, headers={CSRF_HEADER: facts["csrf"]},
    ) as client:  # fmt: skip
        body = {
            "camera_ids": [facts["camera_id"]], "from": facts["first"],
            "to": (first + timedelta(days=DAYS)).isoformat(),
            "purpose": "case", "reference": "bench",
        }  # fmt: skip
        answer = client.post("/playbacks", json=body)
        answer.raise_for_status()
        base = f"/playbacks/{answer.json()['id']}"
        for minute in facts["minutes"]:
            at = (first + timedelta(minutes=minute, seconds=times.uniform(1, 48))).astimezone(UTC)
            until = (at + timedelta(seconds=10)).isoformat()
            began = time.perf_counter()
            found = client.get(
                f"{base}/segments",
                params={"camera_id": facts["camera_id"], "from": at.isoformat(), "to": until},
            ).json()
            segment = found[0]["id"]
            asked = time.perf_counter()
            with client.stream(
                "GET", f"{base}/segments/{segment}/media",
                params={"from": at.isoformat(), "to": until},
            ) as response:  # fmt: skip
                response.raise_for_status()
                pieces = response.iter_raw()
                _first_part(pieces)
                ended = time.perf_counter()
                for _ in pieces:
                    pass
            whole.append((ended - began) * 1000)
            media.append((ended - asked) * 1000)
    return {
        "seek_ms_p50": round(statistics.median(whole), 2),
        "seek_ms_p95": round(statistics.quantiles(whole, n=20)[-1], 2),
        "seek_media_ms_p95": round(statistics.quantiles(media, n=20)[-1], 2),
        "seek_ms_max": round(max(whole), 2),
    }


def seek(browser: bool = False) -> dict[str, float]:
    """Return `seek_ms_p50`, `seek_ms_p95`, `seek_media_ms_p95` and `seek_ms_max`.

    With `browser` those of `lib_recording_opening.opening` as well, which are taken first.
    """
    with tempfile.TemporaryDirectory(prefix="camera-hub-seek-") as folder:
        hub = subprocess.Popen(
            [sys.executable, "-m", "bench.lib_recording_seek", "serve", folder],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert hub.stdout is not None
            facts = json.loads(hub.stdout.readline())
            return {**(opening(facts) if browser else {}), **_seek(facts)}
        finally:
            hub.terminate()
            hub.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve(Path(sys.argv[2])))
    else:
        print(json.dumps({"load": os.getloadavg()[0], **seek(browser="--browser" in sys.argv)}))
