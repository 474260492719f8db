"""Knocking at the door: one request to the application in this process, and what it did."""

import asyncio
import contextlib
import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

Message = MutableMapping[str, Any]


@dataclass
class Answer:
    """Status of the answer (a WebSocket's close code less 4000; 101 if it opened) and its code."""

    status: int
    code: str = ""


def _scope(method: str, url: str, headers: dict[str, str], is_json: bool) -> dict[str, Any]:
    path, _, query = url.partition("?")
    kind = "websocket" if method == "WS" else "http"
    raw = [(k.lower().encode(), v.encode()) for k, v in {"Host": "127.0.0.1", **headers}.items()]
    if is_json:
        raw.append((b"content-type", b"application/json"))
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "subprotocols": [],
        "scheme": "ws" if kind == "websocket" else "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": raw,
        "client": ("192.0.2.7", 1234),
        "server": ("hub", 80),
        "state": {},
    }


class _Ear:
    """Listens to an answer until it is clear what the door did."""

    def __init__(self) -> None:
        self.answer = Answer(0)
        self.done = asyncio.Event()

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self.answer.status = message["status"]
            types = [v for k, v in message["headers"] if k.lower() == b"content-type"]
            # A stream is left as soon as it begins.
            if types and types[0].startswith(b"text/event-stream"):
                self.done.set()
        elif kind == "http.response.body":
            if message.get("body", b"").startswith(b"{") and self.answer.status >= 400:
                self.answer.code = json.loads(message["body"])["code"]
            if not message.get("more_body", False):
                self.done.set()
        elif kind == "websocket.accept":
            self.answer.status = 101
        elif kind == "websocket.close":
            self.answer.status = message["code"] - 4000
            self.done.set()
        elif kind == "websocket.send":
            self.done.set()


async def knock(
    app: FastAPI, method: str, url: str, headers: dict[str, str], body: object = None
) -> Answer:
    """Ask `app` in process. `url` is a path, with a query if it needs one."""
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    if method == "WS":
        incoming.put_nowait({"type": "websocket.connect"})
    else:
        content = b"" if body is None else json.dumps(body).encode()
        incoming.put_nowait({"type": "http.request", "body": content, "more_body": False})
    ear = _Ear()
    task = asyncio.create_task(
        app(_scope(method, url, headers, body is not None), incoming.get, ear.send)
    )
    waiting = asyncio.create_task(ear.done.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    # The visitor goes away; the application ends by itself, as it must.
    gone = "websocket.disconnect" if method == "WS" else "http.disconnect"
    incoming.put_nowait({"type": gone, "code": 1001})
    await task
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    return ear.answer
