"""The demo's household: a flat with a camera of its own, closed to everybody else.

Everything here goes through the HTTP interface, as the administrator and the resident do it.
"""

from dataclasses import dataclass, replace
from typing import Any

import httpx

from core.errors import UpstreamError

AREA = "demo/riverside/jade-garden"
HOUSEHOLD = "Building 3, Flat 1204"
HOME_CAMERA = 2
HOME_CAMERA_NAME = "Living room"
"""Number of the camera that hangs in that flat, counted from 1."""
WITH_HOME = 4
"""With fewer cameras there is no flat."""


@dataclass(frozen=True)
class Home:
    """The demo's household, the token of its alarm button, and codes for a phone and a TV."""

    household_id: str
    button_token: str = ""
    phone_code: str = ""
    tv_code: str = ""


def succeeded(answer: httpx.Response) -> None:
    if answer.is_error:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise UpstreamError(
            f"{answer.request.url.path} answered {answer.status_code}: {problem.get('detail', '')}",
            remedy=problem.get("remedy", ""),
        )


async def make_home(admin: httpx.AsyncClient) -> Home:
    """Make the household with its first member."""
    made = await admin.post("/households", json={"name": HOUSEHOLD, "area": AREA})
    succeeded(made)
    household_id = made.json()["id"]
    succeeded(
        await admin.post(f"/households/{household_id}/members", json={"username": "resident"})
    )
    return Home(household_id)


async def bind_devices(resident: httpx.AsyncClient, home: Home) -> Home:
    """Bind a button to the household, as the resident does, and make codes for a phone and a TV."""
    path = f"/households/{home.household_id}"
    made = await resident.post(
        f"{path}/alarm-devices", json={"kind": "button", "name": "Button by the bed"}
    )
    succeeded(made)
    codes = []
    for kind in ("phone", "tv"):
        code = await resident.post(f"{path}/pairing-codes", json={"kind": kind})
        succeeded(code)
        codes.append(code.json()["code"])
    return replace(home, button_token=made.json()["token"], phone_code=codes[0], tv_code=codes[1])


async def consent(resident: httpx.AsyncClient) -> None:
    """Agree, as the resident does, that an own alarm opens the flat to who answers it."""
    home = await resident.get("/home")
    succeeded(home)
    for camera in home.json()["households"][0]["cameras"]:
        answer = {"camera_id": camera["id"], "kind": "alarm", "reason": "If I press, come."}
        succeeded(await resident.post("/grants", json=answer))


def place(home: Home | None) -> dict[str, Any]:
    """Return what is said of a camera's place."""
    if home is None:
        return {
            "place_kind": "shared_space",
            "purpose": "To see when somebody needs help",
            "owner": "Jade Garden community centre",
            "contact": "The duty desk, building 1",
            "signage": True,
        }
    return {"place_kind": "home", "household_id": home.household_id, "purpose": "Care at home"}


def button(url: str, home: Home) -> str:
    """Return the command that presses the household's alarm button, for a shell."""
    return (
        f"curl -s {url}/api/v1/alarms -H 'Authorization: Bearer {home.button_token}' "
        "-H 'Content-Type: application/json' -H \"Idempotency-Key: $(date +%s)\" "
        '-d \'{"kind": "medical"}\''
    )
