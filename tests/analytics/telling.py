"""A zone, and people in and outside of it, as a camera of profile M tells of them."""

from uuid import UUID

from analytics.zones.schemas import Rule, Zone
from camera_hub.simulator.words import Told

ZONE = Zone(
    id=UUID(int=1),
    name="Yard",
    polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)),
    rules=(Rule(kind="intrusion", dwell_seconds=1.0, cooldown_seconds=0),),
)
OUTSIDE = (0.1, 0.3, 0.2, 0.7)
INSIDE = (0.6, 0.3, 0.7, 0.7)
LIES = (0.55, 0.6, 0.85, 0.7)


def person(box: tuple[float, float, float, float] = INSIDE, number: int = 1) -> Told:
    return Told(number, "Human", box)
