"""Playback over HTTP: who may, what is written first, and what leaves."""

import io
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select, text

from camera_hub.recording.index.models import Playback
from core.ids import new_id
from tests.api.playbacks_kit import (
    AREA,
    BEGIN,
    BOTH,
    MASKS,
    Past,
    add_camera,
    at_home,
    past,
    pictures,
    record,
    seconds,
)
from tests.support.http import Client, SignIn

__all__ = ["at_home", "past"]


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
