"""What must be covered, and whether a model finds it."""

from analytics.detectors.types import ModelInfo

PEOPLE = frozenset({"person", "person_down"})
VEHICLES = frozenset({"bicycle", "car", "motorcycle", "bus", "truck", "train"})

CONFIDENCE = 0.15
"""Recall before precision: what is covered without need costs nothing."""


def covered_labels(model: ModelInfo, *, people_suffice: bool) -> frozenset[str] | None:
    """Return the labels to cover; None when the model does not know what must be covered.

    Args:
        model: as the detector describes itself.
        people_suffice: a model that finds people but no vehicles will do
            (setting `analytics.redact_people_only`).
    """
    labels = frozenset(model.labels)
    if not labels & PEOPLE:
        return None
    if not labels >= VEHICLES and not people_suffice:
        return None
    return labels & (PEOPLE | VEHICLES)
