"""Playback over HTTP: when it ends, masks, damaged files and thumbnails."""

import asyncio
import io
import socket
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import delete, select

from access.accounts.models import AccountRole
from camera_hub.recording.index.models import Playback
from core.clock import ManualClock
from tests.api.playbacks_kit import (
    AREA,
    BEGIN,
    END,
    MASKS,
    Past,
    add_camera,
    at_home,
    past,
    pictures,
    record,
    seconds,
)
from tests.support.http import LiveServer, SignIn
from tests.support.waiting import until

__all__ = ["at_home", "past"]


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
