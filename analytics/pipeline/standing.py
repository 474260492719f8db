"""Faults of cameras that stand until they are over, whatever becomes of the process meanwhile."""

from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from analytics.rules.signal import FaultKind, Severity, Signal, fault_signal
from analytics.rules.types import CameraRef, Phase
from core.clock import Clock
from core.logging import get_logger

_log = get_logger("analytics.pipeline")


class EventJournal:
    """Under which keys a fault is said of cameras, in a file that outlives the process.

    Without it a camera that is well again while its worker is being restarted would stay reported.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, str] = {}
        try:
            content = orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return
        if isinstance(content, dict):
            self._keys = {str(camera): str(key) for camera, key in content.items()}

    def key(self, camera_id: UUID) -> str:
        """Return the event key a camera is reported under; empty when it is not."""
        return self._keys.get(str(camera_id), "")

    def note(self, camera_id: UUID, event_key: str) -> None:
        """Remember a camera's event key, or with an empty one that it is over.

        A file that cannot be written is logged, and what was in it before still is: its only use
        is after a restart, and the signal itself is safe.
        """
        if event_key:
            self._keys[str(camera_id)] = event_key
        else:
            self._keys.pop(str(camera_id), None)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".tmp")
            temporary.write_bytes(orjson.dumps(self._keys))
            temporary.replace(self._path)
        except OSError as error:
            _log.warning(
                "a journal of faults cannot be written",
                journal=self._path.name,
                reason=error.strerror,
            )


class StandingFault:
    """One kind of fault of the cameras of a worker: said when it begins, and once it is over."""

    def __init__(
        self,
        clock: Clock,
        *,
        kind: FaultKind,
        source: str,
        state: Path,
        severity: Severity = "moderate",
    ) -> None:
        """Take up what an earlier process has said, out of the file `state`.

        Args:
            clock: dates the signals.
            kind: what fails.
            source: CloudEvents source, as `/workers/media-0`.
            state: of which cameras it is said; made when it is first said of one.
            severity: of its signals.
        """
        self._clock = clock
        self._kind: FaultKind = kind
        self._source = source
        self._severity: Severity = severity
        self._journal = EventJournal(state)

    def stands(self, camera_id: UUID) -> bool:
        """Return whether it is said of a camera and not over."""
        return bool(self._journal.key(camera_id))

    def begin(self, camera: CameraRef, what: str, detail: dict[str, Any] | None = None) -> Signal:
        """Say it of a camera; `what` goes on from the camera's name."""
        key = self._fresh_key(camera)
        self._journal.note(camera.id, key)
        return self._signal(camera, "started", key, what, detail)

    def end(self, camera: CameraRef, what: str, detail: dict[str, Any] | None = None) -> Signal:
        """Say that it is over, under the key under which it began."""
        key = self._journal.key(camera.id) or self._fresh_key(camera)
        self._journal.note(camera.id, "")
        return self._signal(camera, "ended", key, what, detail)

    def _fresh_key(self, camera: CameraRef) -> str:
        name = self._kind.rpartition(".")[2].replace("_", "-")
        return f"{camera.id}:{name}:{int(self._clock.now().timestamp())}"

    def _signal(
        self, camera: CameraRef, phase: Phase, key: str, what: str, detail: dict[str, Any] | None
    ) -> Signal:
        return fault_signal(
            self._clock,
            source=self._source,
            kind=self._kind,
            phase=phase,
            event_key=key,
            headline=f"{camera.name} {what}",
            severity=self._severity,
            subject=str(camera.id),
            area=camera.area,
            camera_id=str(camera.id),
            detail=detail,
        )
