"""The web console: files of the built bundle, and its first page for every address of its own.

The alarm of a household (`/alarm`, `/tv`) is a program of its own beside it.
"""

import mimetypes
from pathlib import Path

import orjson
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

BUNDLE = Path(__file__).with_name("console")

_ALARM_PAGES = frozenset({"alarm", "tv"})
_ALARM_PAGE = "alarm.html"
_MANIFEST = "alarm.webmanifest"
# Only the alarm's page may ask where its phone is, and it asks after the press.
_ALARM_HEADERS = {
    "Cache-Control": "no-cache",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(self), payment=(), usb=()",
}

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Camera Hub</title>
<h1>The web console is not built</h1>
<p>The hub is running and its interface answers below <code>/api/v1</code>.</p>
<p>Run <code>make setup</code> in the source tree to build the console, then reload this page.</p>
</html>
"""


def console_router(bundle: Path = BUNDLE) -> APIRouter:
    """Return the routes that serve `bundle`. They come last: they match every address."""
    router = APIRouter(include_in_schema=False)

    @router.get("/assets/{name}")
    async def console_asset(name: str) -> Response:
        """Files whose name holds a hash of their content: kept by browsers for good."""
        return _file(
            bundle / "assets", name, {"Cache-Control": "public, max-age=31536000, immutable"}
        )

    @router.get("/{path:path}")
    async def console_page(path: str, request: Request) -> Response:
        """A file at the bundle's top (icon, worker), else the first page of console or alarm."""
        if path == "api" or path.startswith("api/"):
            raise HTTPException(404)
        if path == _MANIFEST:
            return _manifest(bundle, request)
        if path == _ALARM_PAGE or path.partition("/")[0] in _ALARM_PAGES:
            return _page(bundle / _ALARM_PAGE, _ALARM_HEADERS)
        if path and "/" not in path and _inside(bundle, path) is not None:
            return _file(bundle, path, {"Cache-Control": "no-cache"})
        if "." in path.rpartition("/")[2]:
            raise HTTPException(404)
        return _page(bundle / "index.html", {"Cache-Control": "no-cache"})

    return router


def _page(page: Path, headers: dict[str, str]) -> Response:
    if not page.is_file():
        return HTMLResponse(_NOT_BUILT, status_code=503, headers={"Cache-Control": "no-store"})
    return FileResponse(page, headers=headers)


def _manifest(bundle: Path, request: Request) -> Response:
    """Return what an installed alarm is called: under its icon, and with the name of the site."""
    path = _inside(bundle, _MANIFEST)
    if path is None:
        raise HTTPException(404)
    manifest = orjson.loads(path.read_bytes())
    hub = getattr(request.app.state, "hub", None)
    if hub is not None:
        manifest["name"] = f"{hub.settings.site.name} · {manifest['short_name']}"
    return Response(
        orjson.dumps(manifest),
        media_type="application/manifest+json",
        headers={"Cache-Control": "no-cache"},
    )


def _inside(folder: Path, name: str) -> Path | None:
    """Return the regular file `name` directly in `folder`, or None for anything else.

    Only a plain name is looked up, and a link that leads out of the folder is not followed.
    """
    if not name or name.startswith(".") or any(c in name for c in "/\\\0"):
        return None
    path = folder / name
    if path.is_file() and path.resolve().parent == folder.resolve():
        return path
    return None


def _file(folder: Path, name: str, headers: dict[str, str]) -> Response:
    path = _inside(folder, name)
    if path is None:
        raise HTTPException(404)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=media_type, headers=headers)
