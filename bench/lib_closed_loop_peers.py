"""What `bench/closed_loop.py` starts beside the hub: PostgreSQL, and Alerta on it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALERTA = ROOT / ".peers" / "alerta" / "bin"
_WAIT_S = 30.0


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Postgres:
    """A cluster in a temporary directory, reachable by its Unix socket; durable, as in earnest."""

    def __init__(self, directory: Path, binaries: Path) -> None:
        self.directory, self._binaries = directory, binaries

    def create(self, name: str) -> str:
        """Create a database and return its SQLAlchemy URL."""
        psql = [str(self._binaries / "psql"), "-h", str(self.directory), "-U", "postgres", "-qc"]
        subprocess.run([*psql, f"CREATE DATABASE {name}"], check=True)
        return f"postgresql+asyncpg://postgres@/{name}?host={self.directory}"


@contextmanager
def postgres() -> Iterator[Postgres | None]:
    """Run a server; None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        yield None
        return
    binaries = found[-1].parent
    directory = Path(tempfile.mkdtemp(prefix="camera-hub-bench-pg-"))
    user = None
    if os.geteuid() == 0:
        user = "postgres"
        account = pwd.getpwnam(user)
        os.chown(directory, account.pw_uid, account.pw_gid)
    directory.chmod(0o755)
    data = str(directory / "data")
    subprocess.run(
        [str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync"],
        user=user, cwd=directory, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(binaries / "postgres"), "-D", data, "-k", str(directory), "-c",
             "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=120"],
            user=user, cwd=directory, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        ready = [str(binaries / "pg_isready"), "-q", "-h", str(directory)]
        deadline = time.monotonic() + _WAIT_S
        while subprocess.run(ready, check=False).returncode and time.monotonic() < deadline:
            time.sleep(0.05)
        yield Postgres(directory, binaries)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def alerta(server: Postgres) -> Iterator[int | None]:
    """Run Alerta (gunicorn, two workers with eight threads) on PostgreSQL and yield its port.

    None where it is not installed (`python3 tools/setup.py bench`).
    """
    if not (ALERTA / "gunicorn").exists():
        print("Alerta is not installed: `python3 tools/setup.py bench`", file=sys.stderr)
        yield None
        return
    server.create("alerta")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="camera-hub-bench-alerta-") as name:
        conf = Path(name) / "alertad.conf"
        conf.write_text(
            f"DATABASE_URL = 'postgresql://postgres@/alerta?host={server.directory}'\n"
            "SECRET_KEY = 'of a benchmark'\nAUTH_REQUIRED = False\nPLUGINS = []\n"
            "DEFAULT_PAGE_SIZE = 50\nDB_POOL_SIZE = 16\n"
        )
        process = subprocess.Popen(
            [str(ALERTA / "gunicorn"), "-w", "2", "--threads", "8", "--keep-alive", "60",
             "-b", f"127.0.0.1:{port}", "alerta:create_app()"],
            env={**os.environ, "ALERTA_SVR_CONF_FILE": str(conf)}, cwd=name,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/_")
            yield port
        finally:
            process.terminate()
            process.wait()


def wait_for(url: str) -> None:
    """Wait until `url` answers.

    Raises:
        TimeoutError: it does not within half a minute.
    """
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):  # a fixed http address
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")
