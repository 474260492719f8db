"""Who hears recordings, what is written of it, and that nobody else is given a byte of sound."""

import io
from datetime import timedelta
from json import loads
from typing import Any

import av
import pytest
from sqlalchemy import select

from access.accounts.models import AccountRole
from access.ledger.models import LedgerEntry
from api.hub import Hub
from camera_hub.recording.index.schemas import SegmentIn
from tests.api.playbacks_kit import AREA, BEGIN, BOTH, MASKS, Past, add_camera, at_home
from tests.camera_hub.recording.sound_feed import footage
from tests.support.http import Client, LiveServer, SignIn
from tests.support.recorded import write_segment
from tests.support.waiting import until

__all__ = ["at_home"]
SOUND = [one.data for one in footage().sound if len(one.data) > 16]


async def record(hub: Hub, camera_id: Any, *, sound: bool) -> SegmentIn:
    info = footage().info.sound
    assert info is not None
    one = write_segment(
        hub.settings.recording_disks[0].path,
        camera_id,
        BEGIN,
        sound=(info, [s for s in footage().sound if s.at >= 0]) if sound else None,
    )
    async with hub.database.transaction() as session:
        taken = await hub.recordings.take(session, "media-0", [one])
    assert taken.taken == [one.id]
    return one


@pytest.fixture
async def past(hub: Hub) -> Past:
    camera_id = await add_camera(hub, sound=True, sound_reason="Calls for help at night")
    return Past(hub, camera_id, [await record(hub, camera_id, sound=True)])


async def leaving(past: Past, client: Client, playback: dict[str, Any]) -> tuple[bytes, set[str]]:
    """Return init and media of the whole file, and every codec that was named."""
    listed = await client.get(
        f"/api/v1/playbacks/{playback['id']}/segments", params={"camera_id": str(past.camera_id)}
    )
    init = await client.get(past.media(playback).replace("/media?", "/init?"))
    media = await client.get(past.media(playback) + "&to=2026-01-01T07:00:06Z")
    assert (listed.status_code, init.status_code, media.status_code) == (200, 200, 200)
    named = {listed.json()[0]["codec"], init.headers["x-codec"]}
    named |= {a.headers["content-type"].split('"')[1] for a in (init, media)}
    assert listed.json()[0]["sound"] == any("," in codec for codec in named)
    return init.content + media.content, named


def heard(content: bytes) -> int:
    """Return how many seconds of sound a player finds; the pictures are all there."""
    with av.open(io.BytesIO(content), mode="r", format="mp4") as container:
        assert len(list(container.decode(video=0))) == 150
    with av.open(io.BytesIO(content), mode="r", format="mp4") as container:
        if not container.streams.audio:
            return 0
        return round(sum(frame.samples for frame in container.decode(audio=0)) / 16_000)


def silent(content: bytes) -> bool:
    return not any(word in content for word in (b"mp4a", b"soun", *SOUND))


async def ledger_of(hub: Hub) -> list[Any]:
    async with hub.database.read() as session:
        query = select(LedgerEntry.body).where(LedgerEntry.kind == "view.opened")
        bodies = list(await session.scalars(query.order_by(LedgerEntry.seq)))
    return [loads(body) for body in bodies]


@BOTH
async def test_sound_leaves_for_who_asks_for_it_and_that_is_on_record(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator, sound=True)
    assert playback["cameras"][0]["sound"] is True
    content, named = await leaving(past, operator, playback)
    assert len(named) == 1
    assert named.pop().endswith(",mp4a.40.2")
    assert heard(content) == 6
    assert not silent(content)
    (view,) = await past.records()
    assert (view.kind, view.sound) == ("playback", True)
    entries = await ledger_of(past.hub)
    assert [entry["sound"] for entry in entries] == [True]
    auditor = await sign_in("auditor", AREA)
    shown = (await auditor.get("/api/v1/view-records")).json()["items"]
    assert [one["sound"] for one in shown] == [True]


@BOTH
async def test_who_does_not_ask_for_sound_is_given_no_byte_of_it(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    for wish in ({}, {"sound": False}):
        playback = await past.begin(operator, **wish)
        assert playback["cameras"][0]["sound"] is False
        content, named = await leaving(past, operator, playback)
        assert not any("," in codec for codec in named)
        assert heard(content) == 0
        assert silent(content)
        whole = (past.hub.settings.recording_disks[0].path / past.segments[0].path).read_bytes()
        assert not silent(whole)
        thumbnail = await operator.get(
            f"/api/v1/playbacks/{playback['id']}/thumbnail",
            params={"camera_id": str(past.camera_id), "at": BEGIN.isoformat()},
        )
        assert thumbnail.status_code == 200
    assert [view.sound for view in await past.records()] == [False] * 4
    assert [entry["sound"] for entry in await ledger_of(past.hub)] == [False] * 4


async def test_the_answer_to_a_new_playback_names_the_sound_of_its_first_files(
    past: Past, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA)
    at = (BEGIN + timedelta(seconds=1)).isoformat()
    for sound in (True, False):
        playback = await past.begin(operator, sound=sound, at=at)
        (one,) = playback["cameras"][0]["segments"]
        assert (one["sound"], "mp4a" in one["codec"]) == (sound, sound)
        assert one["has_sound"] is True
        assert playback["cameras"][0]["may_listen"] is True
    await past.change(masks=[{"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}])
    (painted,) = (await past.begin(operator, at=at))["cameras"]
    assert (painted["may_listen"], painted["segments"][0]["has_sound"]) == (False, False)


async def test_what_was_recorded_without_sound_is_silent_with_it_too(
    hub: Hub, sign_in: SignIn
) -> None:
    camera_id = await add_camera(hub)
    quiet = Past(hub, camera_id, [await record(hub, camera_id, sound=False)])
    operator = await sign_in("operator", AREA)
    content, named = await leaving(quiet, operator, await quiet.begin(operator, sound=True))
    assert heard(content) == 0
    assert not any("," in codec for codec in named)


async def test_who_may_hear_recordings(past: Past, sign_in: SignIn) -> None:
    async def status(role: str, place: str, **wish: Any) -> int:
        await past.change(place_kind=place)
        return int((await past.ask(await sign_in(role, AREA), sound=True, **wish)).status_code)

    assert await status("operator", "public_space") == 201
    assert await status("operator", "shared_space") == 403
    assert await status("duty_staff", "shared_space") == 201
    assert await status("supervisor", "shared_space") == 201
    await past.change(residents_may_watch=True)
    for role in ("resident", "administrator", "auditor", "patrol"):
        assert await status(role, "shared_space") in (403, 404)
    assert await status("duty_staff", "shared_space", purpose="", reference="") == 422
    assert not [view for view in await past.records() if view.role == "resident"]


async def test_painted_recordings_are_silent(past: Past, sign_in: SignIn) -> None:
    await past.change(masks=MASKS)
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator, sound=True)
    (shown,) = playback["cameras"]
    assert (shown["rendition"], shown["sound"]) == ("masked", False)
    listed = await operator.get(
        f"/api/v1/playbacks/{playback['id']}/segments", params={"camera_id": str(past.camera_id)}
    )
    assert "," not in listed.json()[0]["codec"]
    init = await operator.get(past.media(playback).replace("/media?", "/init?"))
    media = await operator.get(past.media(playback) + "&to=2026-01-01T07:00:02Z")
    assert media.status_code == 200, media.text
    assert silent(init.content + media.content)
    assert [view.sound for view in await past.records()] == [False]


async def test_masks_end_a_playback_that_is_heard(past: Past, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA)
    playback = await past.begin(operator, sound=True)
    await leaving(past, operator, playback)
    await past.change(masks=MASKS)
    assert (await operator.get(past.media(playback))).status_code == 410
    assert all(view.ended_at for view in await past.records())


@BOTH
async def test_who_loses_the_right_to_listen_hears_nothing_more(
    past: Past, server: LiveServer, sign_in: SignIn
) -> None:
    supervisor = await sign_in("supervisor", AREA, at=server)
    playback = await past.begin(supervisor, sound=True)
    await leaving(past, supervisor, playback)
    async with past.hub.database.transaction() as session:
        role = await session.scalar(
            select(AccountRole).where(AccountRole.account_id == supervisor.account_id)
        )
        assert role is not None
        role.area = "demo/elsewhere"

    async def over() -> bool:
        return all(view.ended_at for view in await past.records())

    await until(over)
    assert (await supervisor.get(past.media(playback))).status_code in (404, 410)


async def test_a_home_is_heard_by_its_household_alone(
    at_home: tuple[Past, Client], sign_in: SignIn
) -> None:
    home, member = at_home
    sounding = Past(home.hub, home.camera_id, home.segments)
    playback = await sounding.begin(member, sound=True, purpose="", reference="")
    assert playback["cameras"][0]["sound"] is True
    for role in ("supervisor", "duty_staff", "operator"):
        assert (await sounding.ask(await sign_in(role, AREA), sound=True)).status_code in (403, 404)
