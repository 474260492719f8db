"""Playback over HTTP: who may, what is written first, what leaves, and when it ends."""

import asyncio
import io
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import av
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import delete, select, text

from access.accounts.models import AccountRole
from access.households.models import Household, HouseholdMember
from access.views.models import ViewRecord
from api.hub import Hub
from camera_hub.devices.models import Camera
from camera_hub.recording.index.models import Playback
from camera_hub.recording.index.schemas import SegmentIn
from core.clock import ManualClock
from core.ids import new_id
from tests.support.http import Client, LiveServer, SignIn
from tests.support.recorded import write_segment
from tests.support.waiting import until

AREA = "demo/riverside"
BEGIN = datetime(2026, 1, 1, 7, 0, tzinfo=UTC)
END = BEGIN + timedelta(minutes=30)
WHY = {"purpose": "case", "reference": "K-2026-17"}
MASKS = [{"polygon": [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]}]
BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


@dataclass
class Past:
    """A camera with eighteen seconds of recordings: three files, a gap before the last."""

    hub: Hub
    camera_id: UUID
    segments: list[SegmentIn]

    async def begin(self, client: Client, **changes: Any) -> dict[str, Any]:
        answer = await self.ask(client, **changes)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found

    async def ask(self, client: Client, **changes: Any) -> Any:
        body = {
            "camera_ids": [str(self.camera_id)], "from": BEGIN.isoformat(), "to": END.isoformat(),
            **WHY, **changes,
        }  # fmt: skip
        return await client.post("/api/v1/playbacks", json=body)

    async def records(self) -> Sequence[ViewRecord]:
        async with self.hub.database.read() as session:
            return list(await session.scalars(select(ViewRecord).order_by(ViewRecord.id)))

    async def change(self, **values: Any) -> None:
        async with self.hub.database.transaction() as session:
            camera = await self.hub.devices.get(session, self.camera_id)
            for name, value in values.items():
                setattr(camera, name, value)

    def media(self, playback: dict[str, Any], number: int = 0, start: float = 0.0) -> str:
        one = self.segments[number]
        at = (one.started_at + timedelta(seconds=start)).isoformat().replace("+00:00", "Z")
        return f"/api/v1/playbacks/{playback['id']}/segments/{one.id}/media?from={at}"


async def add_camera(hub: Hub, **values: Any) -> UUID:
    camera = Camera(
        id=new_id(), name="Gate",
        **{"area": AREA, "place_kind": "public_space", "enabled": False, **values},
        source_kind="rtsp", address="rtsp://192.0.2.1/", created_at=hub.clock.now(),
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(camera)
    return camera.id


async def record(hub: Hub, camera_id: UUID, starts: Sequence[float]) -> list[SegmentIn]:
    disk = hub.settings.recording_disks[0]
    found = [
        write_segment(disk.path, camera_id, BEGIN + timedelta(seconds=at), sequence=number)
        for number, at in enumerate(starts)
    ]
    async with hub.database.transaction() as session:
        taken = await hub.recordings.take(session, "media-0", found)
    assert len(taken.taken) == len(found)
    return found


@pytest.fixture
async def past(hub: Hub) -> Past:
    camera_id = await add_camera(hub)
    return Past(hub, camera_id, await record(hub, camera_id, (0, 6, 60)))


def seconds(answer: Any, name: str) -> float:
    return (datetime.fromisoformat(answer.headers[name]) - BEGIN).total_seconds()


def pictures(init: bytes, media: bytes) -> list[Any]:
    with av.open(io.BytesIO(init + media), mode="r", format="mp4") as container:
        return list(container.decode(video=0))


@BOTH
async def test_no_frame_of_a_recording_leaves_before_its_view_record_is_committed(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator)
    (shown,) = playback["cameras"]
    assert (shown["camera_id"], shown["rendition"]) == (str(past.camera_id), "raw")
    assert shown["segments"] is None
    (view,) = await past.records()
    assert (view.kind, view.camera_id, view.account_id, view.purpose, view.reference) == (
        "playback", past.camera_id, operator.account_id, "case", "K-2026-17")  # fmt: skip
    assert view.ended_at is None

    listed = (
        await operator.get(
            f"/api/v1/playbacks/{playback['id']}/segments",
            params={"camera_id": str(past.camera_id)},
        )
    ).json()
    assert [one["id"] for one in listed] == [str(one.id) for one in past.segments]
    assert listed[0]["codec"].startswith("avc1.")
    init = await operator.get(past.media(playback).replace("/media?", "/init?"))
    assert (init.status_code, init.headers["cache-control"]) == (200, "no-store")
    media = await operator.get(past.media(playback, 0, 2.5))
    assert media.status_code == 200, media.text
    assert media.headers["content-type"].startswith("video/mp4; codecs=")
    assert (seconds(media, "X-Starts-At"), seconds(media, "X-Ends-At")) == (2, 6)
    assert float(media.headers["X-Media-Time"]) == 2
    assert len(pictures(init.content, media.content)) == 100

    for at in (1, 4, 11):
        when = (BEGIN + timedelta(seconds=at)).isoformat()
        small = await operator.get(
            f"/api/v1/playbacks/{playback['id']}/thumbnail",
            params={"camera_id": str(past.camera_id), "at": when},
        )
        assert small.status_code == 200, small.text
        assert Image.open(io.BytesIO(small.content)).size == (320, 240)
    assert [r.kind for r in await past.records()] == ["playback", "thumbnail"]
    assert (await operator.delete(f"/api/v1/playbacks/{playback['id']}")).status_code == 204
    assert (await past.records())[0].ended_at is not None
    over = await operator.get(past.media(playback))
    assert (over.status_code, over.json()["code"]) == (410, "playback-ended")


@pytest.mark.faults
async def test_no_recording_leaves_when_its_view_record_cannot_be_committed(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    refuse = (
        "CREATE TRIGGER refuse BEFORE INSERT ON view_record "
        "BEGIN SELECT RAISE(ABORT, 'database is locked'); END"
    )
    async with past.hub.database.transaction() as session:
        await session.execute(text(refuse))
    assert (await past.ask(operator)).status_code == 503
    async with past.hub.database.transaction() as session:
        assert not list(await session.scalars(select(Playback)))
        await session.execute(text("DROP TRIGGER refuse"))
    playback = await past.begin(operator)
    async with past.hub.database.transaction() as session:
        await session.execute(text(refuse))
    small = await operator.get(
        f"/api/v1/playbacks/{playback['id']}/thumbnail",
        params={"camera_id": str(past.camera_id), "at": BEGIN.isoformat()},
    )
    assert small.status_code == 503
    assert b"\xff\xd8" not in small.content


async def test_a_span_goes_on_where_the_one_before_left_off(past: Past, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator)
    url = past.media(playback, 0, 0.3)
    first = await operator.get(f"{url}&to=2026-01-01T07:00:02Z")
    rest = await operator.get(
        url.split("?")[0], params={"from": first.headers["X-Ends-At"], "keyframe": "false"}
    )
    assert seconds(first, "X-Ends-At") == seconds(rest, "X-Starts-At") == 2
    disk = past.hub.settings.recording_disks[0].path
    content = (disk / past.segments[0].path).read_bytes()
    assert first.content + rest.content in content


async def test_the_files_of_the_hour_that_is_looked_at_come_with_the_answer(
    past: Past, sign_in: SignIn
) -> None:
    """The same that the list says, of that hour and of the playback only, painted as they leave."""
    operator = await sign_in("operator", AREA)

    async def told(**wish: str) -> list[Any]:
        playback = await past.begin(operator, **wish)
        found: list[Any] = playback["cameras"][0]["segments"]
        return found

    url = f"/api/v1/playbacks/{(await past.begin(operator))['id']}/segments"
    listed = (await operator.get(url, params={"camera_id": str(past.camera_id)})).json()
    at = (BEGIN + timedelta(minutes=50)).isoformat()
    assert await told(at=at) == listed
    assert len(listed) == 3
    assert await told(at=at, to=(BEGIN + timedelta(seconds=30)).isoformat()) == listed[:2]
    assert await told(at=(BEGIN + timedelta(hours=1)).isoformat()) is None
    await past.change(masks=MASKS)
    (painted, *_) = await told(at=at)
    assert (painted["id"], painted["codec"]) != (listed[0]["id"], listed[0]["codec"])


async def test_what_lies_outside_or_is_too_much_is_refused(past: Past, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator)
    cases: list[tuple[dict[str, str], int, str]] = [
        ({"from": "2026-01-01T06:59:59Z"}, 422, "outside-playback"),
        ({"from": "2026-01-01T07:00:00Z", "to": "2026-01-01T07:31:00Z"}, 422, "outside-playback"),
        ({"from": "2026-01-01T07:00:00Z", "to": "2026-01-01T07:01:01Z"}, 422, "span-too-long"),
        ({"from": "2026-01-01T07:00:03Z", "to": "2026-01-01T07:00:03Z"}, 422, "outside-playback"),
        ({"from": "2026-01-01T07:00:09Z", "to": "2026-01-01T07:00:02Z"}, 422, "outside-playback"),
        ({"from": "2026-01-01T07:00:00"}, 422, "invalid-input"),
        ({"from": "nonsense"}, 422, "invalid-input"),
        ({}, 422, "invalid-input"),
        ({"from": "2026-01-01T07:20:00Z"}, 404, "no-recording"),
        ({"from": "9999-12-31T23:59:59Z"}, 422, "outside-playback"),
    ]
    for query, status, code in cases:
        answer = await operator.get(past.media(playback).split("?")[0], params=query)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_playback_shows_its_own_cameras_and_span_and_belongs_to_one_sign_in(
    past: Past, sign_in: SignIn
) -> None:
    operator, other = await sign_in("operator", AREA), await sign_in("operator", AREA)
    stranger_id = await add_camera(past.hub)
    (foreign,) = await record(past.hub, stranger_id, (0,))
    late = BEGIN + timedelta(seconds=30)
    playback = await past.begin(operator, **{"to": late.isoformat()})
    base = f"/api/v1/playbacks/{playback['id']}"
    begin = {"from": BEGIN.isoformat()}
    for client, path, params in (
        (other, f"{base}/segments/{past.segments[0].id}/media", begin),
        (other, f"{base}/segments/{past.segments[0].id}/init", {}),
        (other, f"{base}/segments", {"camera_id": str(past.camera_id)}),
        (other, f"{base}/thumbnail", {"camera_id": str(past.camera_id), "at": BEGIN.isoformat()}),
        (operator, f"{base}/segments/{foreign.id}/media", begin),
        (operator, f"{base}/segments/{foreign.id}/init", {}),
        (operator, f"{base}/segments", {"camera_id": str(stranger_id)}),
        (operator, f"{base}/thumbnail", {"camera_id": str(stranger_id), "at": BEGIN.isoformat()}),
        # Recorded after the span that was asked for.
        (operator, f"{base}/segments/{past.segments[2].id}/init", {}),
        (operator, f"{base}/segments/{new_id()}/init", {}),
    ):
        answer = await client.get(path, params=params)
        assert answer.status_code == 404, (path, answer.text)
    assert (await other.delete(base)).status_code == 404
    assert (await operator.get(f"{base}/segments/..%2f..%2fetc/media")).status_code in {404, 422}


async def test_who_may_play_back(past: Past, sign_in: SignIn) -> None:
    for role, place, status, code in (
        ("operator", "public_space", 201, ""),
        ("supervisor", "shared_space", 201, ""),
        ("duty_staff", "shared_space", 201, ""),
        ("duty_staff", "public_space", 403, "forbidden"),
        ("operator", "shared_space", 403, "forbidden"),
        ("resident", "shared_space", 403, "forbidden"),
        ("auditor", "public_space", 403, "forbidden"),
        ("administrator", "public_space", 403, "forbidden"),
    ):
        await past.change(place_kind=place)
        answer = await past.ask(await sign_in(role, AREA))
        assert (answer.status_code, answer.json().get("code", "")) == (status, code), answer.text


async def test_a_purpose_is_asked_for_and_many_bad_wishes_are_refused(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    elsewhere = await sign_in("operator", "demo/elsewhere")
    assert (await past.ask(elsewhere)).status_code == 404
    day = timedelta(days=1)
    for changes, code in (
        ({"purpose": ""}, "purpose-needed"),
        ({"purpose": "curiosity"}, "unknown-purpose"),
        ({"reference": ""}, "reference-needed"),
        ({"purpose": "incident", "reference": "2026-999999"}, "unknown-reference"),
        ({"to": BEGIN.isoformat()}, "invalid-input"),
        ({"to": (BEGIN + 33 * day).isoformat()}, "invalid-input"),
        ({"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, "invalid-input"),
        ({"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:00:00Z"}, "invalid-input"),
        ({"camera_ids": []}, "invalid-input"),
        ({"camera_ids": [str(past.camera_id)] * 2}, "invalid-input"),
        ({"camera_ids": [str(new_id()) for _ in range(5)]}, "invalid-input"),
        ({"from": "2026-01-01T07:00:00"}, "invalid-input"),
    ):
        answer = await past.ask(operator, **changes)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    # One camera that may not be seen, and nothing is shown or written.
    hidden = await add_camera(past.hub, area="demo/elsewhere")
    both = await past.ask(operator, camera_ids=[str(past.camera_id), str(hidden)])
    assert both.status_code == 404
    assert await past.records() == []


@pytest.fixture
async def at_home(past: Past, sign_in: SignIn) -> tuple[Past, Client]:
    """The camera looks into the home of the client that comes with it."""
    member = await sign_in("resident", AREA)
    since = BEGIN + timedelta(seconds=5)
    household = Household(id=new_id(), name="Unit 3", area=AREA, created_at=since)
    async with past.hub.database.transaction() as session:
        session.add(household)
        await session.flush()
        session.add(
            HouseholdMember(
                household_id=household.id, account_id=member.account_id,
                since=past.hub.clock.now(),
            )
        )  # fmt: skip
    await past.change(place_kind="home", household_id=household.id)
    return past, member


async def test_a_home_is_played_back_by_its_household_without_a_purpose_and_by_nobody_else(
    at_home: tuple[Past, Client], sign_in: SignIn
) -> None:
    past, member = at_home
    playback = await past.begin(member, purpose="", reference="")
    # Who lived there before is not shown to those who live there now.
    assert playback["from"] == "2026-01-01T07:00:05Z"
    assert (await member.get(past.media(playback))).json()["code"] == "outside-playback"
    assert (await member.get(past.media(playback, 1))).status_code == 200
    (view,) = await past.records()
    assert (view.kind, view.role, view.place_kind) == ("playback", "household", "home")
    for role in ("duty_staff", "supervisor", "operator", "administrator", "auditor"):
        assert (await past.ask(await sign_in(role, AREA))).status_code in {403, 404}


async def test_what_a_camera_recorded_as_a_gate_is_not_shown_to_the_home_it_becomes(
    at_home: tuple[Past, Client], sign_in: SignIn
) -> None:
    past, member = at_home
    async with past.hub.database.read() as session:
        household = (await past.hub.devices.get(session, past.camera_id)).household_id
    await past.change(place_kind="public_space", household_id=None)
    admin, url = await sign_in("administrator"), f"/api/v1/cameras/{past.camera_id}"
    change = {
        "version": (await admin.get(url)).json()["version"],
        "place_kind": "home", "household_id": str(household), "residents_may_watch": False,
    }  # fmt: skip
    assert (await admin.patch(url, json=change)).status_code == 200
    refused = await past.ask(member, purpose="", reference="")
    assert (refused.status_code, refused.json()["code"]) == (404, "no-recording")
    assert await past.records() == []


@pytest.mark.parametrize(
    "change", ["signed out", "demoted", "camera moved", "masks came", "deleted"]
)
async def test_what_ends_the_right_to_play_back_ends_a_running_playback(
    past: Past, server: LiveServer, sign_in: SignIn, change: str
) -> None:
    """Invariant 5: the view record ends by itself within two seconds, and nothing more leaves."""
    operator = await sign_in("operator", AREA, at=server)
    playback = await past.begin(operator)
    assert (await operator.get(past.media(playback))).status_code == 200
    async with past.hub.database.transaction() as session:
        if change == "signed out":
            await past.hub.sessions.end(session, operator.session_id, "signed out")
        elif change == "demoted":
            mine = AccountRole.account_id == operator.account_id
            await session.execute(delete(AccountRole).where(mine))
    if change == "camera moved":
        await past.change(area="demo/elsewhere")
    elif change == "masks came":
        await past.change(masks=MASKS)
    elif change == "deleted":
        await past.change(deleted_at=past.hub.clock.now())

    async def ended() -> bool:
        return all(view.ended_at is not None for view in await past.records())

    await until(ended)
    answer = await operator.get(past.media(playback))
    assert answer.status_code in {401, 403, 404, 410}
    assert b"mdat" not in answer.content


async def test_one_camera_of_several_ends_alone(past: Past, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA)
    second = Past(past.hub, await add_camera(past.hub), [])
    second.segments = await record(past.hub, second.camera_id, (0,))
    playback = await past.begin(operator, camera_ids=[str(past.camera_id), str(second.camera_id)])
    await second.change(area="demo/elsewhere")
    assert (await operator.get(past.media(playback))).status_code == 200
    gone = await operator.get(second.media(playback))
    assert (gone.status_code, gone.json()["code"]) == (410, "playback-ended")
    ends = {view.camera_id: view.ended_at for view in await past.records()}
    assert ends[past.camera_id] is None
    assert ends[second.camera_id] is not None


async def test_a_playback_that_nobody_uses_ends(
    past: Past, sign_in: SignIn, clock: ManualClock
) -> None:
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator)
    for _ in range(3):
        clock.advance(5 * 60)
        assert (await operator.get(past.media(playback))).status_code == 200
    clock.advance(10 * 60 + 1)
    answer = await operator.get(past.media(playback))
    assert answer.json()["code"] == "playback-ended"
    await past.hub.playback_guard.sweep()
    (view,) = await past.records()
    assert view.ended_at is not None


async def test_playbacks_left_by_a_killed_hub_are_over_at_the_next_start(
    past: Past, sign_in: SignIn
) -> None:
    await past.begin(await sign_in("operator", AREA))
    server = LiveServer(past.hub, socket.create_server(("127.0.0.1", 0)))
    await server.start()
    await server.stop()
    server.listener.close()
    async with past.hub.database.read() as session:
        (row,) = list(await session.scalars(select(Playback)))
    assert row.ended_at is not None
    assert (await past.records())[0].ended_at is not None


async def test_masks_are_painted_on_what_was_recorded_raw(past: Past, sign_in: SignIn) -> None:
    await past.change(masks=MASKS)
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator)
    assert playback["cameras"][0]["rendition"] == "masked"
    base = f"/api/v1/playbacks/{playback['id']}"
    (listed, *_) = (
        await operator.get(f"{base}/segments", params={"camera_id": str(past.camera_id)})
    ).json()
    init = await operator.get(past.media(playback).replace("/media?", "/init?"))
    assert init.headers["X-Codec"] == listed["codec"]
    media = await operator.get(past.media(playback, 0, 1.1))
    assert (media.status_code, media.headers["X-Rendition"]) == (200, "masked"), media.text
    assert seconds(media, "X-Starts-At") == pytest.approx(1.12)
    assert seconds(media, "X-Ends-At") == 6
    shown = pictures(init.content, media.content)
    assert len(shown) == pytest.approx(4.9 * 12, abs=2)
    assert shown[0].pts == pytest.approx(1.12 * 90_000, abs=1)
    for frame in shown:
        left = frame.to_ndarray(format="rgb24")[:, :150]
        assert np.abs(left.astype(int) - 24).max() < 24
    # Nothing of what was recorded is in what leaves.
    disk = past.hub.settings.recording_disks[0].path
    original = (disk / past.segments[0].path).read_bytes()
    assert original[5000:5040] not in media.content
    when = {"camera_id": str(past.camera_id), "at": BEGIN.isoformat()}
    small = await operator.get(f"{base}/thumbnail", params=when)
    left = np.asarray(Image.open(io.BytesIO(small.content)))[:, :150]
    assert np.abs(left.astype(int) - 24).max() < 24
    # Other masks: the picture that was kept is not shown.
    await past.change(masks=[{"polygon": [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]}])
    other = await operator.get(f"{base}/thumbnail", params=when)
    right = np.asarray(Image.open(io.BytesIO(other.content)))[:, 170:]
    assert np.abs(right.astype(int) - 24).max() < 24


async def test_no_more_than_two_are_painted_at_once(past: Past, sign_in: SignIn) -> None:
    await past.change(masks=MASKS)
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator)
    async with past.hub.painters, past.hub.painters:
        answer = await operator.get(past.media(playback))
        assert (answer.status_code, answer.json()["code"]) == (503, "playback-busy")
        assert answer.headers["Retry-After"] == "2"
    answers = await asyncio.gather(*(operator.get(past.media(playback, n)) for n in (0, 1, 2)))
    assert [a.status_code for a in answers] == [200] * 3


@pytest.mark.faults
async def test_damaged_and_missing_files_say_so_and_what_is_whole_is_shown(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator)
    disk = past.hub.settings.recording_disks[0].path
    cut, gone, junk = (disk / one.path for one in past.segments)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 6 // 10])
    gone.unlink()
    junk.write_bytes(b"\0" * 100_000)
    whole = await operator.get(past.media(playback, 0, 0))
    assert whole.status_code == 200
    assert 2 <= seconds(whole, "X-Ends-At") < 6
    for number, start, code in (
        (0, 5.5, "segment-damaged"), (1, 0, "segment-missing"), (2, 0, "segment-damaged")
    ):  # fmt: skip
        answer = await operator.get(past.media(playback, number, start))
        assert (answer.status_code, answer.json()["code"]) == (410, code)
        assert answer.json()["remedy"]
    small = await operator.get(
        f"/api/v1/playbacks/{playback['id']}/thumbnail",
        params={"camera_id": str(past.camera_id), "at": (BEGIN + timedelta(seconds=8)).isoformat()},
    )
    assert small.status_code == 200


async def test_thumbnails_are_kept_and_forgotten_with_what_they_show(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator)
    url = f"/api/v1/playbacks/{playback['id']}/thumbnail"
    at = [{"camera_id": str(past.camera_id), "at": (BEGIN + timedelta(seconds=s)).isoformat()}
          for s in (1, 61)]  # fmt: skip
    first = [(await operator.get(url, params=one)).content for one in at]
    folder = past.hub.settings.data_dir / "cache" / "thumbnails" / str(past.camera_id) / "20260101"
    assert len(list(folder.iterdir())) == 2
    disk = past.hub.settings.recording_disks[0].path
    for one in past.segments:
        (disk / one.path).unlink()
    assert [(await operator.get(url, params=one)).content for one in at] == first
    forget = past.hub.thumbnails.forget
    assert forget(past.camera_id, BEGIN, BEGIN + timedelta(seconds=12)) == 1
    assert (await operator.get(url, params=at[0])).json()["code"] == "segment-missing"
    assert (await operator.get(url, params=at[1])).content == first[1]
    assert forget(past.camera_id, BEGIN - timedelta(days=1), END) == 1
    assert not folder.exists()


async def test_a_thumbnail_at_the_edge_of_a_playback_shows_nothing_of_outside(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    begin = BEGIN + timedelta(seconds=4)
    playback = await past.begin(operator, **{"from": begin.isoformat()})
    url = f"/api/v1/playbacks/{playback['id']}/thumbnail"
    when = {"camera_id": str(past.camera_id), "at": (begin + timedelta(seconds=0.2)).isoformat()}
    small = await operator.get(url, params=when)
    assert small.status_code == 200
    assert not (past.hub.settings.data_dir / "cache").exists()
    assert (await operator.get(url, params={**when, "at": BEGIN.isoformat()})).status_code == 422
    none = await operator.get(
        url, params={**when, "at": (BEGIN + timedelta(minutes=20)).isoformat()}
    )
    assert (none.status_code, none.json()["code"]) == (404, "no-recording")
