"""Plans over HTTP: who sees them, what is kept of them, and who stands on them."""

import asyncio
import os
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from access.policy.types import Role
from api.hub import Hub
from camera_hub.plans.drawing import make_drawing
from tests.api.test_camera_facts import BOTH_STORES, FLAT, Family, entry, family
from tests.api.test_camera_imports import ended, sent
from tests.support.http import Client, SignIn

__all__ = ["family"]
URL = "/api/v1/plans"
AREA = "demo/jade"


def drawing(colour: str = "white", size: tuple[int, int] = (400, 300)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


async def added(client: Client, name: str = "Ground floor", **more: Any) -> dict[str, Any]:
    content = more.pop("content", drawing())
    answer = await client.post(
        URL, data={"name": name, "area": AREA, **more}, files={"file": ("x.png", content)}
    )
    assert answer.status_code == 201, answer.text
    plan: dict[str, Any] = answer.json()
    return plan


async def camera_on(client: Client, plan: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    spot = {} if plan is None else {"plan_id": plan["id"], "plan_x": 0.25, "plan_y": 0.75}
    answer = await client.post("/api/v1/cameras", json=entry(**spot, **more))
    assert answer.status_code == 201, answer.text
    camera: dict[str, Any] = answer.json()
    return camera


def kept(hub: Hub) -> set[str]:
    folder = hub.settings.data_dir / "plans"
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@BOTH_STORES
async def test_a_plan_is_added_changed_redrawn_and_removed(hub: Hub, sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    plan = await added(admin, north="30")
    assert (plan["width"], plan["height"], plan["north"]) == (400, 300, 30)
    assert (plan["version"], plan["may_change"], plan["cameras"]) == (1, True, 0)
    camera = await camera_on(admin, plan)
    assert (camera["plan_x"], camera["plan_y"]) == (0.25, 0.75)
    again = await admin.post(
        URL, data={"name": "Ground floor", "area": AREA}, files={"file": ("x", drawing("red"))}
    )
    assert (again.status_code, again.json()["code"]) == (409, "plan-name-taken")
    first = make_drawing(drawing()).sha256
    assert kept(hub) == {f"{first}.png"}, "what was refused leaves no file"

    image = await admin.get(f"{URL}/{plan['id']}/image")
    assert (image.status_code, image.headers["Content-Type"]) == (200, "image/png")
    assert image.headers["Cache-Control"] == "private, no-cache"
    tag = image.headers["ETag"]
    held = await admin.get(f"{URL}/{plan['id']}/image", headers={"If-None-Match": tag})
    assert (held.status_code, held.content) == (304, b"")

    old = await admin.put(
        f"{URL}/{plan['id']}/image", data={"version": "7"}, files={"file": ("x", drawing("blue"))}
    )
    assert (old.status_code, old.json()["code"]) == (409, "version-conflict")
    assert kept(hub) == {f"{first}.png"}
    new = await admin.put(
        f"{URL}/{plan['id']}/image",
        data={"version": "1"},
        files={"file": ("x", drawing("blue", (800, 500)))},
    )
    assert new.status_code == 200, new.text
    assert (new.json()["width"], new.json()["version"], new.json()["cameras"]) == (800, 2, 1)
    assert kept(hub) == {f"{make_drawing(drawing('blue', (800, 500))).sha256}.png"}
    assert (await admin.get(f"{URL}/{plan['id']}/image")).headers["ETag"] != tag

    other = await added(admin, "First floor", content=drawing("blue", (800, 500)))
    renamed = await admin.patch(f"{URL}/{other['id']}", json={"version": 1, "name": "Ground floor"})
    assert renamed.json()["code"] == "plan-name-taken"
    renamed = await admin.patch(f"{URL}/{other['id']}", json={"version": 1, "name": "Roof"})
    assert renamed.json()["name"] == "Roof"
    assert [one["name"] for one in (await admin.get(URL)).json()["items"]] == [
        "Ground floor", "Roof",
    ]  # fmt: skip

    assert (await admin.delete(f"{URL}/{plan['id']}")).status_code == 204
    assert len(kept(hub)) == 1, "the other plan has the same drawing"
    read = (await admin.get(f"/api/v1/cameras/{camera['id']}")).json()
    assert (read["plan_id"], read["plan_x"], read["version"]) == (None, None, 2)
    assert (await admin.delete(f"{URL}/{other['id']}")).status_code == 204
    assert kept(hub) == set()
    assert (await admin.get(f"{URL}/{plan['id']}/image")).status_code == 404


async def test_a_camera_is_put_on_a_plan_moved_and_taken_off(hub: Hub, sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    plan = await added(admin)
    camera = await camera_on(admin, None)
    url = f"/api/v1/cameras/{camera['id']}"
    spot = {"plan_id": plan["id"], "plan_x": 0, "plan_y": 1, "heading": 90}
    moved = (await admin.patch(url, json={"version": 1, **spot})).json()
    assert (moved["plan_y"], moved["heading"], moved["version"]) == (1, 90, 2)
    stays = (await admin.patch(url, json={"version": 2, "name": "Gate 1"})).json()
    assert stays["plan_id"] == plan["id"]
    for wrong in ({"plan_x": 0.5}, {"plan_id": plan["id"], "plan_x": 0.5}, {**spot, "plan_x": 1.1}):
        answer = await admin.patch(url, json={"version": 3, **wrong})
        assert answer.status_code == 422, wrong
    unknown = {"plan_id": camera["id"], "plan_x": 0, "plan_y": 0}
    answer = await admin.patch(url, json={"version": 3, **unknown})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-plan")
    off = (await admin.patch(url, json={"version": 3, "plan_id": None})).json()
    assert (off["plan_id"], off["plan_x"]) == (None, None)


async def test_a_home_on_a_plan_is_seen_by_nobody_to_whom_it_is_unknown(
    hub: Hub, sign_in: SignIn, family: Family
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    plan = await added(admin)
    await camera_on(admin, plan)
    household, member = await family()
    home = {"place_kind": "home", "household_id": household, "area": FLAT, "name": "Flat"}
    camera = await camera_on(admin, plan, address="rtsp://127.0.0.2:9/flat", **home)
    guard = await sign_in(Role.DUTY_STAFF, AREA)
    assert [one["cameras"] for one in (await guard.get(URL)).json()["items"]] == [1]
    assert (await guard.get(f"{URL}/{plan['id']}")).json()["may_change"] is False
    named = [one["name"] for one in (await guard.get("/api/v1/cameras")).json()["items"]]
    assert named == ["Gate"]
    assert (await admin.get(URL)).json()["items"][0]["cameras"] == 2
    # The household sees its camera; plans are for those who work there.
    own = (await member.get(f"/api/v1/cameras/{camera['id']}")).json()
    assert own["plan_id"] == plan["id"]
    assert (await member.get(URL)).status_code == 403
    elsewhere = await sign_in(Role.OPERATOR, "demo/other")
    assert (await elsewhere.get(URL)).json()["items"] == []
    assert (await elsewhere.get(f"{URL}/{plan['id']}/image")).status_code == 404


async def test_a_list_of_cameras_says_where_they_stand(hub: Hub, sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    ground, upper = await added(admin), await added(admin, "上层", content=drawing("blue"))
    rows = [
        "name,area,address,probe,平面图,图上横坐标,图上纵坐标",
        f"One,{AREA}/b1,rtsp://127.0.0.1:9/1,no,Ground floor,0.1,0.2",
        f"Two,{AREA},rtsp://127.0.0.1:9/2,no,上层,0.3,1",
        f"Three,{AREA},rtsp://127.0.0.1:9/3,no,,,",
        f"Four,{AREA},rtsp://127.0.0.1:9/4,no,Cellar,0.1,0.1",
        f"Five,{AREA},rtsp://127.0.0.1:9/5,no,Ground floor,0.1,",
        f"Six,{AREA},rtsp://127.0.0.1:9/6,no,Ground floor,0.1,7",
    ]
    done = await ended(admin, await sent(admin, "\n".join(rows), dry_run=False))
    assert [row["state"] for row in done["rows"]] == [
        "created", "created", "created", "invalid", "invalid", "invalid",
    ]  # fmt: skip
    assert done["rows"][3]["code"] == "unknown-plan"
    assert "go together" in done["rows"][4]["message"]
    there = {one["name"]: one for one in (await admin.get("/api/v1/cameras")).json()["items"]}
    assert (there["One"]["plan_id"], there["One"]["plan_y"]) == (ground["id"], 0.2)
    assert there["Two"]["plan_id"] == upper["id"]
    assert there["Three"]["plan_id"] is None


async def test_a_form_that_is_none_says_so(hub: Hub, sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    for data, files in (
        ({"name": "A"}, None),
        ({"area": AREA}, {"file": ("x.png", drawing())}),
        ({"name": "A", "colour": "red"}, {"file": ("x.png", drawing())}),
    ):
        answer = await admin.post(URL, data=data, files=files)
        assert (answer.status_code, answer.json()["code"]) == (422, "plan-fields")
    answer = await admin.post(URL, data={"name": "A"}, files={"file": ("x.pdf", b"%PDF-1.7")})
    assert (answer.status_code, answer.json()["code"]) == (422, "plan-format")
    assert "PNG" in answer.json()["remedy"]
    huge = await admin.post(
        URL, data={"name": "A"}, files={"file": ("x.png", b"\0" * (21 * 1024 * 1024))}
    )
    assert (huge.status_code, huge.json()["code"]) in ((413, "plan-too-large"), (413, "too-large"))


@pytest.mark.faults
async def test_what_nobody_names_is_swept_and_what_is_being_written_is_not(
    hub: Hub, sign_in: SignIn
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    await added(admin)
    folder = hub.settings.data_dir / "plans"
    named = kept(hub)
    # A hub was killed: once in the middle of a file, once between the file and its row.
    (folder / ".0123.tmp").write_bytes(b"half")
    old, fresh = folder / f"{'a' * 64}.png", folder / f"{'b' * 64}.png"
    for path in (old, fresh):
        path.write_bytes(drawing())
    long_ago = hub.clock.now().timestamp() - 2 * 86_400
    now = hub.clock.now().timestamp()
    os.utime(old, (long_ago, long_ago))
    os.utime(fresh, (now, now))
    being_written = make_drawing(drawing("green"))
    async with hub.plans.files.keeping(being_written):
        assert await hub.plans.forget_drawings(hub.database, [being_written.sha256]) == 0
        assert await hub.plans.forget_drawings(hub.database) == 0
    assert await hub.plans.forget_drawings(hub.database) == 2
    assert kept(hub) == named | {fresh.name, f"{being_written.sha256}.png"}
    assert not (folder / ".0123.tmp").exists()
    # The retry of what was cut finds its file there and names it.
    assert (await added(admin, "Garden", content=drawing("green")))["version"] == 1


@pytest.mark.faults
async def test_a_full_disk_and_a_lost_drawing_say_so(
    hub: Hub, sign_in: SignIn, tmp_path: Path
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    plan = await added(admin)
    folder = hub.settings.data_dir / "plans"
    shutil.rmtree(folder)
    lost = await admin.get(f"{URL}/{plan['id']}/image")
    assert (lost.status_code, lost.json()["code"]) == (503, "plan-missing")
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder.mkdir()
    mount = await asyncio.create_subprocess_exec(
        "mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)
    )
    if await mount.wait() != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        noise = BytesIO()
        Image.effect_noise((300, 300), 90).save(noise, "PNG")
        answer = await admin.post(
            URL, data={"name": "B", "area": AREA}, files={"file": ("x", noise.getvalue())}
        )
        assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
        assert kept(hub) == set()
    finally:
        await (await asyncio.create_subprocess_exec("umount", str(folder))).wait()
