"""A real Mosquitto with a configuration of its own, on a free port, that can be stopped."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MOSQUITTO = Path("/usr/sbin/mosquitto")


class Broker:
    """A broker in a directory of the test. What it holds outlives `stop` and `start`."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"persistence true\npersistence_location {folder}/\n"
            "autosave_on_changes true\nautosave_interval 1\n"
        )
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start; whoever connects waits until it listens."""
        with self._log.open("ab") as log:
            user = ["-c", str(self._config)]
            self._process = subprocess.Popen([str(MOSQUITTO), *user], stdout=log, stderr=log)

    def stop(self) -> None:
        """Stop as on SIGTERM: it writes down what it holds."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker."""
    if not MOSQUITTO.exists():
        pytest.skip("NOT TESTED: Mosquitto is not installed (apt install mosquitto)")
    folder = tmp_path / "broker"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    broker = Broker(folder)
    broker.start()
    yield broker
    broker.stop()
