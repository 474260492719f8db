"""The inference process: one model for all cameras of the node."""

import asyncio

import numpy as np

from analytics.detectors.factory import open_detector
from analytics.detectors.server import InferenceServer
from analytics.models.registry import resolve
from app.process import Pulse, stop_on_signals
from core.clock import SystemClock
from core.settings import Settings

SOCKET_NAME = "inference.sock"


async def inference_child(settings: Settings, pulse: Pulse) -> None:
    """Load the model, warm it, serve it until SIGTERM.

    Raises:
        HubError: there is no such model, or the file is no model.
    """
    clock = SystemClock()
    chosen = settings.analytics
    spec = resolve(chosen.model, settings.models_path)
    detector = await asyncio.to_thread(
        open_detector, spec, clock, backend=chosen.backend, threads=chosen.threads
    )
    try:
        # The first inference allocates; nobody's first picture should wait for that.
        width, height = detector.describe().input
        blank = np.zeros((height, width, 3), dtype=np.uint8)
        await asyncio.wrap_future(detector.submit(blank, deadline_ms=60_000, source="warm-up"))
        stop = asyncio.Event()
        with stop_on_signals(stop):
            beating = asyncio.create_task(pulse.beat_forever())
            await InferenceServer(detector, clock, settings.run_dir / SOCKET_NAME).serve(stop)
            beating.cancel()
    finally:
        detector.close()
