"""Prometheus metrics, named `camera_hub_*`. Labels never carry a person or a secret."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry(auto_describe=True)

_PREFIX = "camera_hub_"


def counter(name: str, help_text: str, labels: tuple[str, ...] = ()) -> Counter:
    """Make a counter `camera_hub_<name>_total`."""
    return Counter(_PREFIX + name, help_text, labels, registry=REGISTRY)


def gauge(name: str, help_text: str, labels: tuple[str, ...] = ()) -> Gauge:
    """Make a gauge `camera_hub_<name>`."""
    return Gauge(_PREFIX + name, help_text, labels, registry=REGISTRY)


def histogram(
    name: str,
    help_text: str,
    labels: tuple[str, ...] = (),
    buckets: tuple[float, ...] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
) -> Histogram:
    """Make a histogram `camera_hub_<name>`; `buckets` are in the unit that `name` ends with."""
    return Histogram(_PREFIX + name, help_text, labels, registry=REGISTRY, buckets=buckets)


def exposition() -> bytes:
    """Return all metrics of this process in the Prometheus text format."""
    return generate_latest(REGISTRY)
