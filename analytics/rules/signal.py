"""Signals as CloudEvents 1.0 (docs/design/api.md). No track id is ever written into one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from analytics.rules.types import PERSON_DOWN, CameraRef, Phase, RuleEvent
from core.clock import Clock
from core.ids import new_id
from core.text import cleaned, normalised

if TYPE_CHECKING:
    # With numpy: the supervisor tells of faults too, and has no use for it.
    from analytics.detectors.types import ModelInfo

Signal = dict[str, Any]
"""A CloudEvent in structured mode, ready for JSON."""

Severity = Literal["extreme", "severe", "moderate", "minor"]
FaultKind = Literal[
    "camera.offline",
    "camera.tampered",
    "camera.input",
    "camera.frozen",
    "camera.black",
    "camera.overexposed",
    "camera.covered",
    "camera.blurred",
    "camera.moved",
    "camera.clock",
    "camera.low_rate",
    "camera.not_recording",
    "camera.not_analysed",
    "storage.disk_failed",
    "storage.full",
    "storage.full-soon",
    "storage.lost",
    "machine.clock",
    "process.failed",
    "spool.trouble",
]
"""What can fail."""

StorageFault = Literal["storage.full", "storage.full-soon", "storage.lost"]
TYPE_PREFIX = "org.camerahub."


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A JPEG of the very picture that caused a signal."""

    jpeg: bytes
    width: int
    height: int

    def to_json(self) -> dict[str, Any]:
        """Return the attachment as on the wire."""
        return {
            "name": "snapshot.jpg",
            "media_type": "image/jpeg",
            "content": base64.b64encode(self.jpeg).decode("ascii"),
            "width": self.width,
            "height": self.height,
        }


def iso(at: datetime) -> str:
    """Return an aware datetime as the wire has it: UTC, milliseconds, Z."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_headline(text: str) -> str:
    """Return one line of at most 300 characters, as the hub takes it: never a reason to refuse."""
    return normalised(cleaned(text))[:300].strip()


def _envelope(
    clock: Clock, *, source: str, kind: str, subject: str, data: dict[str, Any]
) -> Signal:
    return {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": source,
        "type": TYPE_PREFIX + kind,
        "time": iso(clock.now()),
        "subject": subject,
        "datacontenttype": "application/json",
        "data": data,
    }


def _headline(event: RuleEvent, camera: CameraRef) -> str:
    if event.rule.kind == "person_down":
        what = "Person on the ground"
    else:
        label = event.objects[0].label if event.objects else event.rule.objects[0]
        what = "Person" if label == PERSON_DOWN else label.replace("_", " ").capitalize()
    return as_headline(f"{what} in '{event.zone.name}' at {camera.name}")


def detection_signal(
    clock: Clock,
    *,
    source: str,
    camera: CameraRef,
    event: RuleEvent,
    model: ModelInfo,
    snapshot: Snapshot | None,
) -> Signal:
    """Build the signal of one step of a rule's event.

    Args:
        clock: dates the signal itself; `observed_at` is the event's.
        source: who sends it, as `/workers/media-0`.
        camera: whose picture it was.
        event: from the rules.
        model: which model saw it.
        snapshot: the picture the boxes belong to; None for a step without a picture.
    """
    data: dict[str, Any] = {
        "phase": event.phase,
        "event_key": event.event_key,
        "category": "Health" if event.rule.kind == "person_down" else "Security",
        "urgency": "Immediate",
        "severity": event.rule.severity.capitalize(),
        "certainty": event.certainty,
        "status": "Actual",
        "headline": _headline(event, camera),
        "camera_id": str(camera.id),
        "zone_id": str(event.zone.id),
        "zone_name": event.zone.name,
        "rule": event.rule_name,
        "area": camera.area,
        "observed_at": iso(event.observed_at),
        "confidence": None if event.confidence is None else round(event.confidence, 3),
        "model": {"name": model.name, "version": model.version, "backend": model.backend},
        "objects": [
            {
                "label": found.label,
                "confidence": round(found.confidence, 3),
                "box": [round(value, 4) for value in found.box],
            }
            for found in event.objects
        ],
        "attachments": [snapshot.to_json()] if snapshot else [],
    }
    return _envelope(
        clock,
        source=source,
        kind=f"detection.{event.rule.kind}",
        subject=str(camera.id),
        data=data,
    )


def fault_signal(
    clock: Clock,
    *,
    source: str,
    kind: FaultKind,
    phase: Phase,
    event_key: str,
    headline: str,
    severity: Severity = "moderate",
    subject: str = "",
    area: str = "",
    camera_id: str | None = None,
    observed_at: datetime | None = None,
    detail: dict[str, Any] | None = None,
    attachments: Sequence[dict[str, Any]] = (),
) -> Signal:
    """Build the signal of a fault of a camera, a process, the spool or a disk (CAP: Infra).

    Args:
        clock: dates the signal, and `observed_at` where that is not given.
        source: who sends it, as `/workers/media-0` or `/supervisor`.
        kind: what failed.
        phase: `started` when it fails, `ended` when it works again.
        event_key: the same for both.
        headline: one sentence a person reads.
        severity: as in a zone's rule.
        subject: id or name of what failed.
        area: whose queue it belongs to; empty is the whole site.
        camera_id: the camera, if it is one.
        observed_at: when it was noticed (aware, UTC).
        detail: further facts for the signal's reader; no secrets.
        attachments: pictures, as `Snapshot.to_json` gives them, with names of their own.
    """
    data: dict[str, Any] = {
        "phase": phase,
        "event_key": event_key,
        "category": "Infra",
        "urgency": "Expected",
        "severity": severity.capitalize(),
        "certainty": "Observed",
        "status": "Actual",
        "headline": as_headline(headline),
        "camera_id": camera_id,
        "area": area,
        "observed_at": iso(observed_at or clock.now()),
        "objects": [],
        "attachments": list(attachments),
    }
    if detail:
        data["detail"] = detail
    return _envelope(clock, source=source, kind=kind, subject=subject, data=data)
