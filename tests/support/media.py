"""Fixtures (media): a real RTSP camera, a network that misbehaves, and footage of our own.

The camera is Debian's gst-rtsp-server as a process of its own: kill it, restart it, stall it.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.media_footage import make_units, write_mp4, write_units
from tests.support.media_proxy import FaultProxy

USERNAME = "viewer"
PASSWORD = "p@ss:w/rd?#% +ü"  # every character that a URL could trip over
PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-rtsp"
)
_SERVER = Path(__file__).with_name("media_rtsp_server.py")
_CHECK = "import gi; gi.require_version('GstRtspServer', '1.0')"


def wait_until(condition: Callable[[], Any], timeout: float = 20.0, what: str = "") -> Any:
    """Poll `condition` until it is true and return its value; fail after `timeout` seconds."""
    until = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > until:
            pytest.fail(f"waited {timeout} s in vain for {what or condition}")
        time.sleep(0.02)
    return value


def free_port() -> int:
    """Return a TCP port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class RtspServer:
    """A camera: an RTSP server process with any number of mounts, digest authentication."""

    def __init__(self, *, username: str = USERNAME, password: str = PASSWORD) -> None:
        self.username, self.password = username, password
        self.port = free_port()
        self._mounts: list[dict[str, Any]] = []
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Start the process and mount again what was mounted."""
        self._process = subprocess.Popen(
            ["/usr/bin/python3", str(_SERVER), str(self.port), self.username],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "GST_DEBUG": os.environ.get("GST_DEBUG", "0"),
                "HOME": os.environ.get("HOME", "/"),
            },
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self.password + "\n")
        self._process.stdin.flush()
        assert self._answer()["ok"], "the RTSP server could not bind its port"
        for mount in self._mounts:
            self._send(**mount)

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 15)
        line = self._process.stdout.readline() if ready else ""
        assert line, "the RTSP server does not answer"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _send(self, **command: Any) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert answer["ok"]
        return answer

    def mount(
        self,
        path: str,
        footage: Path | None = None,
        *,
        fps: float = 25,
        codec: str = "h264",
        kind: str = "video",
    ) -> None:
        """Serve `footage` (an .aus file) at `path`; `kind` may be `audio` or `jpeg` instead."""
        mount = {"op": "mount", "path": path, "fps": fps, "codec": codec, "kind": kind}
        if footage is not None:
            mount["footage"] = str(footage)
        self._mounts.append(mount)
        self._send(**mount)

    def stall(self, path: str) -> None:
        """Send no more packets at `path`, but keep its connections."""
        self._send(op="stall", path=path)

    def resume(self, path: str) -> None:
        """Send packets again."""
        self._send(op="resume", path=path)

    def change_footage(self, path: str, footage: Path) -> None:
        """Go on with other footage at the next loop, on the same connection."""
        self._send(op="footage", path=path, footage=str(footage))

    def kick(self) -> None:
        """Close every client's connection."""
        self._send(op="kick")

    def attempts(self) -> list[float]:
        """Return when somebody connected since the process began (its own monotonic seconds)."""
        return list(self._send(op="attempts")["attempts"])

    def set_password(self, password: str) -> None:
        """Let only this password in from now on."""
        self.password = password
        self._send(op="set_password", username=self.username, password=password)

    def kill(self) -> None:
        """SIGKILL, as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        self._process = None

    def close(self) -> None:
        """Stop the process if it runs."""
        if self._process is not None:
            self.kill()

    def url(self, path: str, *, port: int = 0, credentials: bool = False) -> str:
        """Return the address of `path`, through another port if given (a proxy's)."""
        user = f"{self.username}:{quote(self.password, safe='')}@" if credentials else ""
        return f"rtsp://{user}127.0.0.1:{port or self.port}{path}"


def _server_available() -> bool:
    if not Path("/usr/bin/python3").exists():
        return False
    return (
        subprocess.run(["/usr/bin/python3", "-c", _CHECK], check=False, capture_output=True)
    ).returncode == 0


@pytest.fixture(scope="session")
def rtsp_tools() -> None:
    """Make sure that gst-rtsp-server is there: install it when root, else skip and say how."""
    if _server_available():
        return
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["update"],
            ["install", "-y", "--no-install-recommends", *PACKAGES.split()],
        ):
            subprocess.run([apt, *command], check=False, capture_output=True, env=env)
    if not _server_available():
        pytest.skip(f"no RTSP server to test against; run: sudo apt-get install -y {PACKAGES}")


@pytest.fixture
def rtsp_server(rtsp_tools: None) -> Iterator[RtspServer]:
    """Give a camera with digest authentication and no mounts yet."""
    server = RtspServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the .aus file of a moving square: H.264, 320x240, 25 fps, GOP of ten pictures."""
    return write_units(tmp_path_factory.mktemp("footage") / "small.aus", make_units())


@pytest.fixture(scope="session")
def footage_large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the same at 640x360."""
    units = make_units(width=640, height=360)
    return write_units(tmp_path_factory.mktemp("footage") / "large.aus", units)


@pytest.fixture(scope="session")
def footage_hevc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the same in H.265."""
    return write_units(tmp_path_factory.mktemp("footage") / "hevc.aus", make_units(codec="hevc"))


@pytest.fixture(scope="session")
def mp4_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a two-second H.264 MP4 file, 320x240, 25 fps."""
    return write_mp4(tmp_path_factory.mktemp("footage") / "clip.mp4")


@pytest.fixture
def fault_proxy(rtsp_server: RtspServer) -> Iterator[FaultProxy]:
    """Give a proxy in front of `rtsp_server`."""
    proxy = FaultProxy(rtsp_server.port)
    yield proxy
    proxy.close()
