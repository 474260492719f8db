"""Reproducible benchmarks: a module per subject with `run(long: bool) -> dict[str, float]`."""
