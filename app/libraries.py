"""What a process imports only when it first needs it, and that it is there all the same.

A library that is missing is told when the process starts, or by `camera-hub doctor`, and not by
the first passkey at night. It is looked for, not imported: that takes no time and no memory.
"""

import re
from importlib.metadata import PackageNotFoundError, distribution, requires
from importlib.util import find_spec

from core.errors import HubError

_NAME = re.compile(r"[\w.-]+")  # of a requirement such as "name[extra]>=1 ; marker"

API_LATER = (
    "aiomqtt",  # buttons that speak MQTT
    "alembic",  # a database of an older version
    "apprise",  # gateways for mail, SMS and chat rooms
    "cv2",  # pictures that are masked or blurred
    "pysiaalarm",  # alarm panels
    "pywebpush",  # browsers that are told
    "redis",  # the stream for other systems
    "segno",  # pictures of pairing codes
    "webauthn",  # passkeys
)
"""Modules that the api imports in functions; what it needs to start, it imports at its start."""


def check_api() -> None:
    """See that the api will find what it imports later.

    Raises:
        HubError: code `internal`: some are not installed.
    """
    lacking = [name for name in API_LATER if find_spec(name) is None]
    if lacking:
        raise HubError(
            f"Libraries are missing: {', '.join(lacking)}.",
            remedy="Run `make setup`, or install Camera Hub again.",
        )


def missing_packages() -> list[str]:
    """Return which packages that Camera Hub depends on are not installed, by their names."""
    found = []
    for line in requires("camera-hub") or ():
        name = _NAME.match(line)
        if name is None or "extra ==" in line:
            continue
        try:
            distribution(name[0])
        except PackageNotFoundError:
            found.append(name[0])
    return found
