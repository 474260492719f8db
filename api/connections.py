"""HTTP connections that do not wait for ever, nor grow without end.

uvicorn limits how long an idle connection is kept, but not how long a request's head may take,
nor how long an answer may stay unread. A thousand connections that send a byte now and then would
otherwise hold the server (known as Slowloris), and so would as many that never read.
"""

import asyncio
import re
from collections import Counter
from http import HTTPStatus
from typing import Any, ClassVar

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.peers import Networks
from core.logging import get_logger
from core.metrics import counter

_log = get_logger("api.connections")
_CUT = counter("http_connections_cut", "Connections that were cut", ("reason",))

HEAD_WITHIN_S = 10.0
"""How long a request's head may take, and what is still sent of a body after the answer."""

READ_WITHIN_S = 60.0
"""How long a client may leave what was sent to it unread."""

MAX_HEAD = 16 * 1024
"""Bytes of a request's head in all."""

MAX_UNWANTED = 32 * 1024 * 1024
"""Bytes of bodies that are thrown away because their answer has gone out already."""

CONNECTIONS_PER_ADDRESS = 512
"""More than a busy office behind one address has; a proxy in `server.trusted_proxies` is free."""

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_DETAILS = {
    400: ("bad-request", "What was sent is no HTTP request that the hub understands."),
    408: ("too-slow", "The request did not arrive within {seconds:.0f} s."),
    431: ("head-too-large", "The request's head is larger than {kilobytes} KiB."),
}
_REMEDIES = {
    400: "Use an ordinary HTTP client.",
    408: "Send it again over a better line.",
    431: "Send fewer or shorter headers and cookies.",
}


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with limits on time, on the head, and on connections per address.

    `own_headers` are put on the answers that come from here; `exempt` are peers without a limit on
    connections. `make_protocol` sets both.
    """

    own_headers: ClassVar[dict[str, str]] = {}
    exempt: ClassVar[Networks] = Networks(())
    per_address: ClassVar[Counter[str]] = Counter()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._address = ""
        self._unwanted = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.per_address[self._address] += 1
        if (
            self._address not in self.exempt
            and self.per_address[self._address] > CONNECTIONS_PER_ADDRESS
        ):
            self._cut("connections")
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE and self._head_is_too_large(data):
            self._refuse(431)
            return
        super().data_received(data)
        if self.transport.is_closing():
            self._stop_head_timer()
        elif self._something_is_missing():
            # Not set anew by each byte: the whole has to be there in time.
            self._wait_for_head()
            if self.conn.their_state is h11.SEND_BODY:
                self._unwanted += len(data)
                if self._unwanted > MAX_UNWANTED:
                    self._cut("unwanted")
                    self.transport.abort()
        else:
            self._stop_head_timer()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._stop_head_timer()
        self._leave()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        """Refuse what is no request; called by the parser."""
        self._refuse(400)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(READ_WITHIN_S, self._unread)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _head_is_too_large(self, data: bytes) -> bool:
        """Say so: the parser itself minds only a head that does not come in one piece."""
        waiting = self.conn.trailing_data[0] + data
        end = _END_OF_HEAD.search(waiting)
        return (end.start() if end else len(waiting)) > MAX_HEAD

    def _something_is_missing(self) -> bool:
        """Say whether part of a head has come, or a body is still coming after its answer."""
        state = self.conn.their_state
        if state is h11.IDLE:
            return bool(self.conn.trailing_data[0]) or self.cycle is None
        return state is h11.SEND_BODY and self.cycle is not None and self.cycle.response_complete

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._too_slow)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self.transport.is_closing() or not self._something_is_missing():
            return
        self._cut("slow")
        if self.conn.our_state is h11.IDLE:
            self._refuse(408)
        else:
            self.transport.abort()

    def _unread(self) -> None:
        self._read_timer = None
        self._cut("unread")
        self.transport.abort()

    def _refuse(self, status: int) -> None:
        code, detail = _DETAILS[status]
        body = orjson.dumps(
            {
                "type": f"about:blank#{code}",
                "title": _phrase(status),
                "status": status,
                "detail": detail.format(seconds=HEAD_WITHIN_S, kilobytes=MAX_HEAD // 1024),
                "remedy": _REMEDIES[status],
                "code": code,
                "instance": "",
            }
        )
        headers = {
            **self.own_headers,
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        _log.info("refused", status=status, code=code, address=self._address)
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            start = h11.Response(
                status_code=status,
                headers=[(name.encode(), text.encode()) for name, text in headers.items()],
                reason=_phrase(status).encode(),
            )
            for event in (start, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _cut(self, reason: str) -> None:
        _CUT.labels(reason).inc()

    def _leave(self) -> None:
        """Forget this connection and its timers; the second call does nothing."""
        self._stop_head_timer()
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
        if self._address:
            self.per_address[self._address] -= 1
            if self.per_address[self._address] <= 0:
                del self.per_address[self._address]
            self._address = ""


def _phrase(status: int) -> str:
    """Return the reason phrase of `status`."""
    return HTTPStatus(status).phrase


def make_protocol(headers: dict[str, str], exempt: Networks) -> type[PatientProtocol]:
    """Return the protocol of one server."""
    return type(
        "HubProtocol",
        (PatientProtocol,),
        {"own_headers": headers, "exempt": exempt, "per_address": Counter()},
    )
