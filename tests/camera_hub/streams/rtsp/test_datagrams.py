"""A camera that sends to a multicast group, across a network of two machines."""

import json
import subprocess
import sys

import pytest

from tests.support.media import RtspServer

pytestmark = pytest.mark.faults
_ALONE = ["unshare", "--user", "--map-root-user", "--net"]


def test_a_group_is_joined_when_asked_for_and_when_the_camera_knows_nothing_else(
    rtsp_server: RtspServer,
) -> None:
    del rtsp_server  # the same packages of Debian are needed, and looked for there
    if subprocess.run([*_ALONE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    child = subprocess.run(
        [*_ALONE, sys.executable, "-m", "tests.support.multicast_site"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout.splitlines()[-1])
    assert found["multicast"]["packets"] >= 20
    assert found["multicast"]["reason"] == "Pictures are arriving."
    assert found["tcp"]["packets"] >= 20
    assert "UDP" in found["tcp"]["reason"]
    assert (found["six"], found["anybody"], found["others"]) == ("hello", "hello", "")
