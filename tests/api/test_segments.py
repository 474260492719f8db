"""Segments of workers become rows of the index, each once, whatever is sent again or wrongly."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from api.hub import Hub
from core.ids import new_id
from tests.support.http import Client, ServiceClient

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
START = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)


def segment(camera_id: UUID, sequence: int = 1, **more: Any) -> dict[str, Any]:
    """A minute of a camera, as a worker sends it."""
    at = START + timedelta(minutes=sequence)
    return {
        "id": str(new_id()), "camera_id": str(camera_id), "role": "main",
        "started_at": at.isoformat(), "ends_at": (at + timedelta(minutes=1)).isoformat(),
        "bytes": 1000, "sha256": "ab" * 32, "disk": "main",
        "path": f"{camera_id}/{at:%Y-%m-%d/%H%M%S}-{sequence:06d}-main.mp4", "sequence": sequence,
        "codec": "h264", "width": 640, "height": 360, "cause": "always", "clock": "steady",
        "motion": "", **more,
    }  # fmt: skip


async def send(worker: Client, *segments: dict[str, Any]) -> tuple[list[str], list[Any]]:
    answer = await worker.post(
        "/api/v1/workers/media-0/segments", json={"segments": list(segments)}
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["taken"], [(one["id"], one["code"]) for one in body["refused"]]


async def indexed(hub: Hub, camera_id: UUID) -> list[str]:
    async with hub.database.read() as session:
        found = await hub.recordings.segments(session, camera_id, START, START + timedelta(days=1))
    return [str(one.id) for one in found]


@BOTH_STORES
async def test_a_segment_sent_again_is_the_same_row_and_other_content_is_refused(
    hub: Hub, service_client: ServiceClient
) -> None:
    worker, camera_id = await service_client(["worker.heartbeat"]), new_id()
    first, second = segment(camera_id, 1), segment(camera_id, 2, sha256="")
    assert await send(worker, first, second) == ([first["id"], second["id"]], [])
    # The answer was lost; one of them is sent again with what was not known at first.
    again = {**second, "sha256": "cd" * 32}
    assert await send(worker, first, again, again) == ([first["id"], second["id"]], [])
    other = {**first, "bytes": 999}
    elsewhere = {**segment(camera_id, 3), "path": first["path"]}
    third = segment(camera_id, 4)
    taken, refused = await send(worker, other, elsewhere, third)
    assert taken == [third["id"]]
    assert refused == [(first["id"], "other-content"), (elsewhere["id"], "path-taken")]
    assert await indexed(hub, camera_id) == [first["id"], second["id"], third["id"]]
    async with hub.database.read() as session:
        rows = await hub.recordings.segments(session, camera_id, START, START + timedelta(days=1))
    assert [row.sha256[:2] for row in rows] == ["ab", "cd", "ab"]
    assert rows[0].started_at == START + timedelta(minutes=1)
    assert [row.bytes for row in rows] == [1000] * 3


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"ends_at": START.isoformat()}, "after started_at"),
        ({"ends_at": (START + timedelta(hours=1)).isoformat()}, "15 minutes"),
        ({"path": "../../etc/passwd"}, "path"),
        ({"path": f"{new_id()}/2026-01-01/080100-000001-main.mp4"}, "folder of the camera"),
        ({"role": "sub"}, "name the role"),
        ({"sha256": "nothing"}, "sha256"),
        (
            {"started_at": "9999-12-31T23:58:00-12:00", "ends_at": "9999-12-31T23:59:00-12:00"},
            "2200",
        ),
        ({"started_at": "1999-12-31T23:59:59Z", "ends_at": "2000-01-01T00:00:30Z"}, "2000"),
        ({"bytes": 0}, "bytes"),
        ({"started_at": "2026-01-01T08:01:00"}, "started_at"),
        ({"motion": "x"}, "motion"),
        ({"deleting": True}, "deleting"),
        ({"disk": "../main"}, "disk"),
        ({"sequence": -1}, "sequence"),
    ],
)
async def test_what_is_no_segment_spoils_nothing_beside_it(
    hub: Hub, service_client: ServiceClient, wrong: dict[str, Any], where: str
) -> None:
    worker, camera_id = await service_client(["worker.heartbeat"]), new_id()
    good, bad = segment(camera_id, 1), {**segment(camera_id, 2), **wrong}
    answer = await worker.post("/api/v1/workers/media-0/segments", json={"segments": [bad, good]})
    (refused,) = answer.json()["refused"]
    assert (refused["id"], refused["code"]) == (bad["id"], "bad-segment")
    assert where in refused["message"]
    assert await indexed(hub, camera_id) == [good["id"]]


async def test_a_batch_has_an_end_and_ids(service_client: ServiceClient) -> None:
    worker = await service_client(["worker.heartbeat"])
    many = [segment(new_id(), n) for n in range(501)]
    bodies: list[Any] = [many, [{"id": "me"}], ["nothing"], [{}], {"a": 1}]
    for wrong in bodies:
        answer = await worker.post("/api/v1/workers/media-0/segments", json={"segments": wrong})
        assert answer.status_code == 422
    assert await send(worker, *many[:500]) == ([one["id"] for one in many[:500]], [])
