"""The ONVIF face of `ipycam`, a virtual camera that others wrote, as a process of its own.

Not imported by tests. It prints its port and serves until it is killed; only its HTTP server
is started, on loopback, since its discovery and its streams would use fixed ports.
"""

import sys

from ipycam import CameraConfig, IPCamera  # type: ignore[import-not-found]
from ipycam.camera import ReusableThreadingTCPServer  # type: ignore[import-not-found]
from ipycam.http import IPCameraHTTPHandler  # type: ignore[import-not-found]

username, password = sys.argv[1:]
server = ReusableThreadingTCPServer(("127.0.0.1", 0), IPCameraHTTPHandler)
port = server.server_address[1]
IPCameraHTTPHandler.camera = IPCamera(
    CameraConfig(
        name="Porch",
        onvif_port=port,
        local_ip="192.0.2.2",
        username=username,
        password=password,
    )
)
sys.stdout.write(f"{port}\n")
sys.stdout.flush()
server.serve_forever()
