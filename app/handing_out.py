"""Asking for recordings over HTTP as an account does: the same door, the same second person."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from api.door import CSRF_HEADER
from core.errors import HubError, InvalidInputError, NotFoundError, UnavailableError

LOOK_EVERY_S = 2.0
_OVER = {"refused", "withdrawn", "failed", "expired"}
_CHUNK = 1024 * 1024

Tell = Callable[[str, int], None]
"""Told the state of the export and, while it is built, the percent."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, of whom, why and for whom. Times are aware.

    `blurred` None: as the hub does it for that audience.
    """

    cameras: list[str]
    start: datetime
    end: datetime
    purpose: str
    reference: str
    reason: str
    expires_in_days: int
    audience: str = "authority"
    blurred: bool | None = None
    sound: bool = False


class RefusedError(HubError):
    """The hub refuses; message and remedy are its own."""

    code = "refused"


@asynccontextmanager
async def signed_in(
    url: str, username: str, password: str, ask_code: Callable[[], str]
) -> AsyncIterator[httpx.AsyncClient]:
    """Be signed in at the hub at `url`; the session ends with the block.

    Args:
        url: where the hub is, without a path.
        username: of the account.
        password: of the account.
        ask_code: asks for the code of the authenticator app, if the account has one.

    Raises:
        RefusedError: the hub does not let this account in.
        UnavailableError: no hub answers there.
    """
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=30) as client:
        opened = await asked(
            client, "POST", "/sessions", json={"username": username, "password": password}
        )
        if "challenge" in opened:
            if "totp" not in opened["methods"]:
                raise InvalidInputError(
                    "This account signs in with a passkey, which a command line cannot use.",
                    remedy="Ask for the export in the console.",
                )
            body = {"challenge": opened["challenge"], "method": "totp", "code": ask_code()}
            opened = await asked(client, "POST", "/sessions/second-factor", json=body)
        client.headers[CSRF_HEADER] = opened["csrf_token"]
        try:
            yield client
        finally:
            with suppress(HubError):
                await asked(client, "DELETE", "/sessions/current")


async def asked(client: httpx.AsyncClient, method: str, path: str, **body: Any) -> Any:
    """Return the answer as JSON.

    Raises:
        RefusedError: the hub refuses, in its words.
        UnavailableError: no hub answers there.
    """
    try:
        answer = await client.request(method, path, **body)
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"No running hub answers at {client.base_url}.",
            remedy="Start it with `camera-hub serve`, or name its address with --url.",
        ) from error
    if answer.is_success:
        return answer.json() if answer.content else None
    said = answer.json()
    raise RefusedError(said["detail"], remedy=said.get("remedy", ""), code=said["code"])


async def wish_for(client: httpx.AsyncClient, wish: Wish) -> dict[str, Any]:
    """Ask for the export and return it; somebody else has to approve it.

    Raises:
        NotFoundError: this account sees no camera of that name or id.
        RefusedError: the hub refuses.
    """
    span = {"from": wish.start.isoformat(), "to": wish.end.isoformat()}
    body = {
        "recordings": [{"camera_id": await _camera(client, c), **span} for c in wish.cameras],
        "attachment_ids": [],
        "purpose": wish.purpose,
        "reference": wish.reference,
        "reason": wish.reason,
        "audience": wish.audience,
        "sound": wish.sound,
        "expires_in_days": wish.expires_in_days,
    }
    if wish.blurred is not None:
        body["rendition"] = "blurred" if wish.blurred else "raw"
    made: dict[str, Any] = await asked(client, "POST", "/exports", json=body)
    return made


async def _camera(client: httpx.AsyncClient, wanted: str) -> str:
    cursor, found = "", []
    while True:
        params = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        page = await asked(client, "GET", "/cameras", params=params)
        found += [c["id"] for c in page["items"] if wanted in {c["id"], c["name"]}]
        cursor = page.get("next_cursor") or ""
        if not cursor:
            break
    if len(found) != 1:
        raise NotFoundError(
            f"There is no one camera '{wanted}' that this account sees.",
            remedy="Name its id: `camera-hub cameras list`.",
        )
    return str(found[0])


async def fetched(
    client: httpx.AsyncClient, export: dict[str, Any], folder: Path, tell: Tell
) -> Path:
    """Wait until the export is ready and download it into `folder`; return the file.

    Raises:
        RefusedError: it was refused, withdrawn, or could not be built.
        OSError: the file cannot be written.
    """
    path = f"/exports/{export['id']}"
    while export["state"] != "ready":
        tell(export["state"], export["progress"])
        if export["state"] in _OVER:
            why = export["failure"] or export["note"]
            raise RefusedError(f"Export {export['number']} is {export['state']}. {why}".strip())
        await asyncio.sleep(LOOK_EVERY_S)
        export = await asked(client, "GET", path)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    target = folder / f"{export['number']}.zip"
    partial = target.with_suffix(".part")
    async with client.stream("GET", f"{path}/file") as answer:
        if not answer.is_success:
            await answer.aread()
            said = answer.json()
            raise RefusedError(said["detail"], remedy=said.get("remedy", ""), code=said["code"])
        with partial.open("wb") as file:
            async for chunk in answer.aiter_bytes(_CHUNK):
                file.write(chunk)
    partial.replace(target)
    return target
