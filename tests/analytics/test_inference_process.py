"""The inference process over its real socket: killed, hung, fed rubbish, and back."""

import socket
import threading

import numpy as np
import pytest

from analytics.detectors.client import InferenceClient
from analytics.detectors.types import (
    DetectionLateError,
    DetectorUnavailableError,
    Picture,
)
from camera_hub.streams.wire import encode, receive_message, send_message
from core.clock import SystemClock
from tests.analytics.inference import InferenceProcess
from tests.support.media import wait_until

CLOCK = SystemClock()
GREY = np.full((360, 640, 3), 128, np.uint8)


def detect(client: InferenceClient, picture: Picture = GREY, source: str = "") -> int:
    return len(client.submit(picture, deadline_ms=20_000, source=source).result(30))


@pytest.mark.faults
def test_a_killed_inference_process_costs_frames_and_nothing_else(
    inference: InferenceProcess, client: InferenceClient
) -> None:
    assert inference.socket_path.parent.stat().st_mode & 0o777 == 0o700
    assert inference.socket_path.stat().st_mode & 0o777 == 0o600
    model = client.describe()
    assert model.name == inference.spec.name
    assert model.backend == "openvino"
    assert detect(client) == 0
    flying = [client.submit(GREY, deadline_ms=20_000, source=str(n)) for n in range(8)]
    inference.kill()
    ended = [future.exception(20) for future in flying]
    assert any(isinstance(error, DetectorUnavailableError) for error in ended)
    assert all(error is None or isinstance(error, DetectorUnavailableError) for error in ended)
    wait_until(lambda: not client.connected)
    away = client.submit(GREY, deadline_ms=20_000)
    assert isinstance(away.exception(1), DetectorUnavailableError)
    inference.start()
    assert client.wait_connected(60)
    assert detect(client) == 0
    assert client.describe() == model
    assert client.ms > 0


@pytest.mark.faults
def test_a_hung_inference_process_makes_pictures_late_and_goes_on(
    inference: InferenceProcess, client: InferenceClient
) -> None:
    assert detect(client) == 0
    inference.stop()
    stale = [client.submit(GREY, deadline_ms=50, source=str(n)) for n in range(40)]
    fresh = client.submit(GREY, deadline_ms=60_000, source="fresh")
    with pytest.raises(TimeoutError):
        fresh.result(0.3)
    inference.resume()
    assert len(fresh.result(30)) == 0
    # What was still waiting here when its time was up never reached the process.
    errors = [future.exception(30) for future in stale]
    assert any(isinstance(error, DetectionLateError) for error in errors)
    assert all(error is None or isinstance(error, DetectionLateError) for error in errors)


@pytest.mark.faults
def test_rubbish_ends_one_connection_and_no_other(
    inference: InferenceProcess, client: InferenceClient
) -> None:
    picture = {"op": "infer", "id": 1, "width": 10, "height": 10, "deadline_ms": 1000}
    for rubbish in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(64),
        encode({"op": "infer", "id": 1}),
        encode({"op": "shutdown"}),
        encode(picture, bytes(299)),
        encode({**picture, "width": -10, "height": -10}, bytes(300)),
        encode({**picture, "width": "many"}, bytes(300)),
    ):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(10)
            raw.connect(str(inference.socket_path))
            raw.sendall(rubbish)
            assert raw.recv(100) == b""
    assert detect(client) == 0
    assert client.connected


@pytest.mark.footage
def test_many_workers_share_one_process_and_get_their_own_answers(
    inference: InferenceProcess, client: InferenceClient, person_picture: Picture
) -> None:
    label = client.describe().label
    found: dict[str, list[str]] = {}

    def worker(name: str, picture: Picture) -> None:
        own = InferenceClient(inference.socket_path, CLOCK)
        assert own.wait_connected(30)
        for _ in range(5):
            rows = own.submit(picture, deadline_ms=30_000, source="camera").result(30)
            found.setdefault(name, []).append(
                ",".join(label(row[5]) for row in rows if row[4] > 0.5)
            )
        own.close()

    threads = [
        threading.Thread(target=worker, args=("person", person_picture)),
        threading.Thread(target=worker, args=("empty", GREY)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"person": ["person"] * 5, "empty": [""] * 5}


def test_the_wire_is_what_the_page_says(
    inference: InferenceProcess, client: InferenceClient
) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(30)
        raw.connect(str(inference.socket_path))
        send_message(raw, {"op": "hello"})
        greeting = receive_message(raw)
        assert greeting is not None
        assert set(greeting[0]["model"]) == {
            "name", "version", "labels", "input", "backend", "device",
        }  # fmt: skip
        header = {"op": "infer", "id": 7, "width": 640, "height": 360, "deadline_ms": 20_000}
        send_message(raw, header, GREY.tobytes())
        answer = receive_message(raw)
        assert answer is not None
        assert answer[0]["id"] == 7
        assert answer[0]["ok"] is True
        assert answer[0]["ms"] > 0
        assert len(answer[1]) % 24 == 0
        send_message(raw, {**header, "id": 8, "deadline_ms": 0}, GREY.tobytes())
        late = receive_message(raw)
        assert late is not None
        assert (late[0]["id"], late[0]["ok"], late[0]["code"]) == (8, False, "late")
