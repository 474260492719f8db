"""Which worker reads which camera, and the revision that says whether that has changed."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson

from camera_hub.devices.heartbeat_schemas import (
    AssignedCameraOut,
    AssignedStream,
)
from camera_hub.devices.models import Camera
from camera_hub.devices.recording_plan import plan_of
from camera_hub.devices.schemas import (
    AnalysedBy,
    StreamRole,
    Transport,
)


def worker_for(camera_id: UUID, workers: Sequence[str]) -> str | None:
    """Return the worker that reads the camera, None without workers.

    Rendezvous hashing (Thaler and Ravishankar, 1998): when a worker joins or leaves, only the
    cameras it takes or had are moved.
    """

    def weight(name: str) -> bytes:
        return hashlib.blake2b(camera_id.bytes + name.encode(), digest_size=8).digest()

    return max(workers, key=weight, default=None)


def assigned(
    camera: Camera, password: str, zones: list[dict[str, Any]], *, sound: bool
) -> AssignedCameraOut:
    """Return the camera as its worker is told of it; `sound`: it hears."""
    streams: dict[StreamRole, AssignedStream] = {}
    for stream in camera.streams:
        role: StreamRole = "main" if stream.role == "main" else "sub"
        streams[role] = AssignedStream(url=stream.url, username=camera.username, password=password)
    return AssignedCameraOut(
        id=camera.id,
        name=camera.name,
        area=camera.area,
        version=camera.version,
        streams=streams,
        analyse=camera.analyse,
        zones=zones,
        masks=camera.masks,
        masks_burnt=camera.masks_burnt,
        recording=plan_of(camera.recording),
        transport=transport_of(camera.transport),
        sound=sound,
        analysed_by=analysed_by(camera),
    )


def analysed_by(camera: Camera) -> AnalysedBy:
    """Return who looks at a camera's pictures; the hub where its column says nothing known."""
    return "camera" if camera.analysed_by == "camera" else "hub"


def transport_of(stored: str) -> Transport:
    """Return what a camera's column says; TCP where it says nothing that is known."""
    return "udp" if stored == "udp" else "multicast" if stored == "multicast" else "tcp"


def revision_of(cameras: Iterable[AssignedCameraOut]) -> str:
    """Return a digest of an assignment: equal means that nothing changed."""
    content = [camera.model_dump(mode="json") for camera in cameras]
    digest = hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16)
    return digest.hexdigest()
