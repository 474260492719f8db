"""A real inference process for tests: started once a module, killed and started again at will."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.detectors.client import InferenceClient
from analytics.models.registry import ModelSpec, find
from core.clock import SystemClock

REPOSITORY = Path(__file__).resolve().parents[2]


class InferenceProcess:
    """The process, to be started, killed and started again."""

    def __init__(self, spec: ModelSpec, socket_path: Path) -> None:
        self.spec = spec
        self.socket_path = socket_path
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it listens once its model is loaded."""
        main = str(Path(__file__).with_name("inference_main.py"))
        self.process = subprocess.Popen(
            [sys.executable, main, self.spec.name, str(self.spec.path), str(self.socket_path)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )

    def stop(self) -> None:
        """SIGSTOP: it hangs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def inference(request: pytest.FixtureRequest) -> Iterator[InferenceProcess]:
    """A running inference process with the smallest model there is."""
    spec = find("yolo11n", Path("/nonexistent")) or request.getfixturevalue("person_fall")
    with tempfile.TemporaryDirectory() as folder:
        process = InferenceProcess(spec, Path(folder) / "run" / "inference.sock")
        process.start()
        yield process
        process.kill()


@pytest.fixture
def client(inference: InferenceProcess) -> Iterator[InferenceClient]:
    """A worker's client, connected; the process runs, whatever the last test did to it."""
    if inference.process is None:
        inference.start()
    client = InferenceClient(inference.socket_path, SystemClock())
    assert client.wait_connected(60)
    yield client
    client.close()
