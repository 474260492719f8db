"""A hub as far as the spool sees it: takes signals over HTTP, and misbehaves on request."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

TOKEN = "chub_token-of-the-spool-tests"


class RecordingHub:
    """Listens on a loopback port. `script` holds what to do with the next posts, in order.

    `"cut"` commits and then cuts the connection without an answer; a number answers with that
    status; when the script is empty, a signal is committed and answered 201, or 200 when its id
    was committed before. `token` is the one it lets in.
    """

    def __init__(self, port: int = 0) -> None:
        self.script: deque[str | int] = deque()
        self.posts: list[str] = []
        self.committed: dict[str, dict[str, Any]] = {}
        self.token = TOKEN
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                hub._take(self)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        assert request.path == "/api/v1/signals"
        if request.headers["Authorization"] != f"Bearer {self.token}":
            self._answer(request, 401)
            return
        signal = orjson.loads(body)
        self.posts.append(signal["id"])
        step = self.script.popleft() if self.script else "commit"
        if isinstance(step, int):
            self._answer(request, step)
            return
        again = signal["id"] in self.committed
        self.committed[signal["id"]] = signal
        if step == "cut":
            request.close_connection = True
            request.connection.close()
            return
        self._answer(request, 200 if again else 201)

    def _answer(self, request: BaseHTTPRequestHandler, status: int) -> None:
        content = orjson.dumps({"status": status, "code": "invalid-signal", "detail": "no"})
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    @contextmanager
    def running(self) -> Iterator["RecordingHub"]:
        """Serve while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
