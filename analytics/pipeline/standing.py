"""Faults of cameras that stand until they are over, whatever becomes of the process meanwhile."""

from pathlib import Path
from typing import Any
from uuid import UUID

from analytics.rules.journal import EventJournal
from analytics.rules.signal import FaultKind, Severity, Signal, fault_signal
from analytics.rules.types import CameraRef, Phase
from core.clock import Clock


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
        self._journal.begin(camera.id, key)
        return self._signal(camera, "started", key, what, detail)

    def end(self, camera: CameraRef, what: str, detail: dict[str, Any] | None = None) -> Signal:
        """Say that it is over, under the key under which it began."""
        key = self._journal.end(camera.id) or self._fresh_key(camera)
        return self._signal(camera, "ended", key, what, detail)

    def save(self) -> None:
        """Remember for a restart what was said; call it once the signals are safe."""
        self._journal.save()

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
