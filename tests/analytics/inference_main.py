"""The inference process alone: model file, its name, socket. Run by tests, never imported."""

import asyncio
import sys
from pathlib import Path

from analytics.detectors.factory import open_detector
from analytics.detectors.server import InferenceServer
from analytics.models.registry import ModelSpec
from core.clock import SystemClock

name, model, socket_path = sys.argv[1:]
clock = SystemClock()
labels = ("person", "person_down") if name == "person-fall" else ()
detector = open_detector(ModelSpec(name, Path(model), "test", labels), clock)
asyncio.run(InferenceServer(detector, clock, Path(socket_path)).serve(asyncio.Event()))
