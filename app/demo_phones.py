"""The demo's phones: an SMS and voice gateway on this machine, and a page that shows what arrived.

The hub speaks to it as to any gateway of kind `http`: signed requests, an answer by callback. A
stranger sees here what the duty staff's and the neighbours' telephones would show, and answers.
"""

import html
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from aiohttp import web
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from core.clock import Clock
from core.ids import new_id

KEPT = 200
_LINK = re.compile(r"https?://[^\s<>\"]+")

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Phones of the demo</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="3">
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 1rem auto;
  padding: 0 1rem; color-scheme: light dark }}
article {{ border: 1px solid; border-radius: .5rem; padding: .6rem 1rem; margin: .8rem 0 }}
header {{ font-weight: 600 }} p {{ overflow-wrap: anywhere; margin: .3rem 0 }}
button {{ font: inherit; padding: .4rem 1rem }}
</style>
<h1>Phones of the demo</h1><p>What the hub sent by SMS and said by telephone; newest first.</p>
{articles}</html>"""


@dataclass(frozen=True, slots=True)
class PhoneMessage:
    """What one phone got."""

    id: str
    channel: str
    to: str
    text: str
    digits: dict[str, str]
    callback_url: str


class Phones:
    """The gateway. `secrets` are those that the hub may sign with."""

    def __init__(self, clock: Clock) -> None:
        self.url = ""
        self.secrets: list[str] = []
        self.messages: deque[PhoneMessage] = deque(maxlen=KEPT)
        self._clock = clock

    def newest_to(self, number: str) -> PhoneMessage | None:
        """Return the last message to `number`, or None."""
        return next((m for m in reversed(self.messages) if m.to == number), None)

    async def receive(self, request: web.Request) -> web.Response:
        """Take a message from the hub. The same id again is the same message."""
        body = await request.text()
        if not self._signed(body, dict(request.headers)):
            return web.json_response({"detail": "not signed by the hub"}, status=401)
        said: dict[str, Any] = orjson.loads(body)
        if not any(message.id == said["id"] for message in self.messages):
            fields = ("id", "channel", "to", "text", "digits", "callback_url")
            self.messages.append(PhoneMessage(**{name: said[name] for name in fields}))
        return web.json_response({"ref": said["id"]}, status=202)

    async def press(self, request: web.Request) -> web.Response:
        """Press a key during a call: told to the hub by callback."""
        form = await request.post()
        message = next((m for m in self.messages if m.id == form.get("id")), None)
        if message is None:
            raise web.HTTPNotFound
        body = orjson.dumps({"type": "digit", "ref": message.id, "digit": str(form["digit"])})
        callback_id, now = str(new_id()), self._clock.now()
        async with httpx.AsyncClient(timeout=10) as client:
            for secret in self.secrets:
                headers = {
                    "Content-Type": "application/json",
                    "webhook-id": callback_id,
                    "webhook-timestamp": str(int(now.timestamp())),
                    "webhook-signature": Webhook(secret).sign(callback_id, now, body.decode()),
                }
                await client.post(message.callback_url, content=body, headers=headers)
        raise web.HTTPSeeOther("/")

    async def page(self, _request: web.Request) -> web.Response:
        """Show what arrived."""
        articles = "".join(_article(message) for message in reversed(self.messages))
        shown = articles or "<p>Nothing yet. Press the alarm.</p>"
        return web.Response(text=_PAGE.format(articles=shown), content_type="text/html")

    def _signed(self, body: str, headers: dict[str, str]) -> bool:
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, headers)
            except WebhookVerificationError:
                continue
            return True
        return False


def _article(message: PhoneMessage) -> str:
    text = _LINK.sub(
        lambda found: f'<a href="{found.group()}" target="_blank">{found.group()}</a>',
        html.escape(message.text, quote=False),
    )
    keys = "".join(
        f'<form method="post" action="/press" style="display:inline">'
        f'<input type="hidden" name="id" value="{html.escape(message.id)}">'
        f'<button name="digit" value="{html.escape(digit)}">{html.escape(digit)}: '
        f"{html.escape(meaning)}</button></form> "
        for digit, meaning in message.digits.items()
        if message.channel == "voice"
    )
    kind = "Call" if message.channel == "voice" else "SMS"
    to = html.escape(message.to)
    return f"<article><header>{kind} to {to}</header><p>{text}</p>{keys}</article>"


@asynccontextmanager
async def running_phones(clock: Clock) -> AsyncIterator[Phones]:
    """Serve the phones on a free port of this machine while the block runs."""
    phones = Phones(clock)
    app = web.Application(client_max_size=256 * 1024)
    app.router.add_get("/", phones.page)
    app.router.add_post("/messages", phones.receive)
    app.router.add_post("/press", phones.press)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    phones.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield phones
    finally:
        await runner.cleanup()
