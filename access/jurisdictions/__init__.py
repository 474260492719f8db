"""Law as data: what a jurisdiction asks of a camera, in files that a person can read and change."""

from access.jurisdictions.law import Law, LawRefusedError
from access.jurisdictions.reading import JurisdictionError
from access.jurisdictions.schemas import Breach, CameraFacts, Hint

__all__ = ["Breach", "CameraFacts", "Hint", "JurisdictionError", "Law", "LawRefusedError"]
