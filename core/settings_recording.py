"""Settings of recording: where it goes, in what pieces, and what is kept of it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from core.settings_loop import Section

RecordingMode = Literal["off", "always", "schedule", "event"]


class DiskSettings(Section):
    """A folder that takes recordings, normally a disk of its own."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$",
        description="Stays the same for ever: the index finds files by it",
    )
    path: Path
    quota_gb: float = Field(default=0, ge=0, description="At most this much; 0: all but the rest")
    keep_free_gb: float = Field(default=2, ge=0, description="What is left free on the disk")

    @field_validator("path")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()


class RecordingSettings(Section):
    """Recording of cameras. How long each is kept follows from its purpose and the law."""

    mode: RecordingMode = Field(
        default="always", description="Of new cameras; those of homes begin with off"
    )
    disks: list[DiskSettings] = Field(
        default=[], max_length=64, description="Empty: `recordings` in the data directory"
    )
    segment_s: float = Field(default=60, ge=5, le=600, description="Length of a file")
    part_s: float = Field(
        default=1.0, ge=0.2, le=10, description="What a kill may lose, at most twice"
    )
    flush_s: float = Field(
        default=2.0, ge=0.2, le=60, description="What a power cut may lose, beside the part in hand"
    )
    incident_lock_days: int = Field(
        default=30, ge=0, le=3650, description="How long clips of incidents are kept under lock"
    )
    check_every_h: float = Field(
        default=24, ge=0, description="Files and index are compared so often; 0: never by itself"
    )
    warn_before_h: float = Field(
        default=48, ge=1, description="An incident tells so long before a disk will be full"
    )

    @model_validator(mode="after")
    def _distinct(self) -> "RecordingSettings":
        for what in ("name", "path"):
            values = [getattr(disk, what) for disk in self.disks]
            if len(set(values)) < len(values):
                raise ValueError(f"two disks have the same {what}")
        return self
