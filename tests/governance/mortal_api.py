"""A real API process that kills itself at chosen moments, and is started again each time.

`python -m tests.governance.mortal_api STORE_URL DATA_DIR LISTENER_FD DEATHS` forks a server on the
inherited listener, over and over. The n-th of them dies by SIGKILL before a commit, after a commit
or after a commit and before its answer, in turn, until there have been DEATHS; the last one lives.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.app import HubServer, make_server
from api.hub import build_hub
from core.clock import SystemClock
from core.logging import configure_logging
from core.settings import DatabaseSettings, Settings

MOMENTS = ("before_commit", "after_commit", "before_answer")


class Death:
    """Comes at the n-th occasion."""

    def __init__(self, occasion: int) -> None:
        self._left = occasion

    def occasion(self, *_: Any) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class BeforeAnswer:
    """Meets its death when the answer to a signal or to a step is ready and has not left."""

    def __init__(self, app: ASGIApp, death: Death) -> None:
        self.app, self.death = app, death

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def mortal_send(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                self.death.occasion()
            await send(message)

        is_post = scope["type"] == "http" and scope["method"] == "POST"
        await self.app(scope, receive, mortal_send if is_post else send)


def serve(server: HubServer, listener: socket.socket, death: tuple[str, Death] | None) -> None:
    """Serve until death or for ever."""
    if death is not None and death[0] == "before_answer":
        server.config.app = BeforeAnswer(server.config.app, death[1])  # type: ignore[arg-type]
    elif death is not None:

        def when_it_told_somebody(session: Session) -> None:
            if session.info.get("outbox_wakes"):
                death[1].occasion()

        event.listen(Session, death[0], when_it_told_somebody)
    asyncio.run(server.serve(sockets=[listener]))


def main() -> None:
    configure_logging("error")
    url, data_dir, descriptor, deaths = sys.argv[1:]
    listener = socket.socket(fileno=int(descriptor))
    settings = Settings(data_dir=Path(data_dir), database=DatabaseSettings(url=url))
    # Made once and inherited: no connection is open yet.
    server = make_server(build_hub(settings, SystemClock()))
    for life in range(int(deaths) + 1):
        child = os.fork()
        if child == 0:
            mortal = life < int(deaths)
            serve(server, listener, (MOMENTS[life % 3], Death(2 + life % 4)) if mortal else None)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"life {life} ended with {status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
