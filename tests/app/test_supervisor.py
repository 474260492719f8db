"""The supervisor with real processes that die, hang and come back."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from api.hub import build_hub
from app.serve import base_url, running_node
from app.supervisor import Supervisor, listen, prepare_directories
from core.clock import SystemClock
from core.errors import HubError
from core.settings import Settings
from tests.support.waiting import until


def node_settings(tmp_path: Path, **sections: object) -> Settings:
    """Return settings of a small node: no cameras, no detection, any free port."""
    values = {
        "data_dir": tmp_path / "data",
        "server": {"port": 0},
        "analytics": {"enabled": False},
        "log": {"level": "warning"},
    }
    return Settings.model_validate({**values, **sections})


@pytest.mark.faults
async def test_a_killed_api_is_restarted_and_no_request_is_refused(tmp_path: Path) -> None:
    """The listening socket outlives the process: a request made meanwhile waits and is answered."""
    async with running_node(node_settings(tmp_path)) as (url, supervisor):
        api = supervisor.children["api"]
        assert api.process is not None
        first = api.process.pid
        async with httpx.AsyncClient(timeout=60) as client:
            assert (await client.get(f"{url}/api/v1/health/ready")).status_code == 200
        os.kill(first, signal.SIGKILL)
        await until(lambda: api.restarts == 1)
        async with httpx.AsyncClient(timeout=60) as client:
            assert (await client.get(f"{url}/api/v1/health/ready")).status_code == 200
        assert api.process.pid != first


@pytest.mark.faults
async def test_a_dead_process_is_not_ready(tmp_path: Path) -> None:
    """From its death until its successor says so, and each of the two is reported once."""
    settings = node_settings(tmp_path)
    told: list[tuple[bool, bool]] = []
    with prepare_directories(settings):
        # Nobody listens there: a worker goes on without the hub.
        (settings.run_dir / "url").write_text("http://127.0.0.1:9")
        supervisor = Supervisor(
            settings, SystemClock(), lambda _n, _w, running: told.append((running, ready()))
        )
        supervisor.add("media-0", "media", "media-0")
        media = supervisor.children["media-0"]
        ready = media.ready.is_set
        await supervisor.start()
        assert media.process is not None
        media.process.kill()
        await until(lambda: len(told) == 2, timeout=60)
        await supervisor.stop()
    assert told == [(False, False), (True, True)]


@pytest.mark.faults
async def test_a_run_directory_that_somebody_cleaned_up_comes_back(tmp_path: Path) -> None:
    """Its files hold nothing that cannot be made again: no reason for a node to stay down."""
    settings = node_settings(tmp_path)
    token = settings.run_dir / "service.token"
    async with running_node(settings) as (_, supervisor):
        media = supervisor.children["media-0"]
        await until(lambda: media.ready.is_set() and token.exists())
        before = token.read_text()
        shutil.rmtree(settings.run_dir)
        assert media.process is not None
        media.process.kill()
        await until(lambda: media.restarts == 1 and media.ready.is_set(), timeout=60)
        await until(token.exists)
        assert token.read_text() not in ("", before)
        # Neither does an administrator who revokes the node's own token stop its signals.
        before = token.read_text()
        hub = build_hub(settings, SystemClock())
        async with hub.database.transaction() as session:
            row = await hub.tokens.resolve(session, before)
            assert row is not None
            await hub.tokens.revoke(session, row.id)
        await hub.close()
        await until(lambda: token.read_text() != before)
        left = [settings.run_dir, *settings.run_dir.iterdir()]
        assert [path for path in left if path.stat().st_mode & 0o077 and path.name != "lock"] == []


@pytest.mark.faults
async def test_a_child_that_cannot_even_be_started_is_tried_again(tmp_path: Path) -> None:
    """The disk with the data is away for a while; everything comes back with it."""
    settings = node_settings(tmp_path)
    away = tmp_path / "away"
    async with running_node(settings) as (url, supervisor):
        media = supervisor.children["media-0"]
        await until(media.ready.is_set)
        settings.data_dir.rename(away)
        assert media.process is not None
        media.process.kill()
        await until(lambda: media.restarts >= 2)
        assert "could not be started" in media.error
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/api/v1/health/ready")).status_code == 503
            away.rename(settings.data_dir)
            await until(media.ready.is_set, timeout=60)
            assert (await client.get(f"{url}/api/v1/health/ready")).status_code == 200


@pytest.mark.faults
async def test_a_process_that_hangs_is_killed_and_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process says nothing on its pulse; that is a hang, not health."""
    monkeypatch.setattr("app.supervisor.HANG_AFTER_S", 3.0)
    async with running_node(node_settings(tmp_path)) as (_, supervisor):
        media = supervisor.children["media-0"]
        await until(media.ready.is_set)
        assert media.process is not None
        os.kill(media.process.pid, signal.SIGSTOP)
        await until(lambda: media.restarts == 1 and media.ready.is_set(), timeout=60)


async def test_stopping_ends_every_process(tmp_path: Path) -> None:
    """Nothing runs on when the node has stopped."""
    async with running_node(node_settings(tmp_path)) as (_, supervisor):
        processes = [c.process for c in supervisor.children.values()]
    assert all(p is not None and p.returncode is not None for p in processes)


async def test_an_essential_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The reason that a child gives is the error a person reads."""
    settings = node_settings(tmp_path)
    with prepare_directories(settings):
        settings.secret_key_file.write_text("no key")
        listener = listen(settings)
        told: list[str] = []
        supervisor = Supervisor(settings, SystemClock(), lambda _n, what, _r: told.append(what))
        supervisor.add(
            "api",
            "api",
            "api",
            str(listener.fileno()),
            pass_fds=(listener.fileno(),),
            essential=True,
        )
        with pytest.raises(HubError, match="does not hold a key"):
            await supervisor.start()
        await supervisor.stop()
        listener.close()


async def test_two_nodes_never_share_a_data_directory(tmp_path: Path) -> None:
    """The second one is refused before it touches anything."""
    settings = node_settings(tmp_path)
    with (
        prepare_directories(settings),
        pytest.raises(HubError, match="Another Camera Hub is running"),
    ):
        prepare_directories(settings)


async def test_a_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    """The error names address and remedy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = node_settings(tmp_path, server={"port": port})
        with pytest.raises(HubError, match=f"port {port}"):
            listen(settings)


def test_workers_reach_a_hub_that_listens_everywhere() -> None:
    """0.0.0.0 is an address to listen on, not one to talk to."""
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        port = everywhere.getsockname()[1]
        assert base_url(everywhere) == f"http://127.0.0.1:{port}"


@pytest.mark.faults
@pytest.mark.parametrize("when", ["while they start", "at work"])
async def test_children_die_with_their_supervisor(tmp_path: Path, when: str) -> None:
    """A supervisor that is killed, at any moment, leaves nothing running unsupervised."""
    process = await asyncio.create_subprocess_exec(
        ".venv/bin/camera-hub",
        "--data-dir",
        str(tmp_path / "data"),
        "serve",
        "--port",
        "0",
        cwd=Path(__file__).parents[2],
        env=dict(os.environ, CAMERA_HUB_ANALYTICS__ENABLED="false"),
    )
    at_work = tmp_path / "data" / "run" / "media-0.sock"
    await until(
        lambda: len(_children(process.pid)) == 2 and (at_work.exists() or when != "at work"),
        timeout=60,
        every=0.005,
    )
    children = _children(process.pid)
    process.kill()
    await process.wait()
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), timeout=60)


def test_a_child_whose_supervisor_is_gone_already_does_not_start() -> None:
    """The supervisor may be killed before its child can ask to be told of it."""
    environment = dict(os.environ, CAMERA_HUB_SUPERVISOR_PID="1")
    done = subprocess.run(
        [sys.executable, "-m", "app.children", "media", "media-0", "no-such-file"],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]
