"""A real process that only sends; its arguments are the URL of the store and the data directory."""

import asyncio
import sys
from pathlib import Path

from api.hub import build_hub
from core.clock import SystemClock
from core.logging import configure_logging
from core.settings import DatabaseSettings, Settings
from core.settings_loop import DeliverySettings


async def main(url: str, data_dir: str) -> None:
    """Send until killed."""
    settings = Settings(
        data_dir=Path(data_dir),
        database=DatabaseSettings(url=url),
        deliveries=DeliverySettings(allow_private=True, timeout_s=60, attempts=3),
    )
    await build_hub(settings, SystemClock()).governance.sender.run()


if __name__ == "__main__":
    configure_logging("error")
    asyncio.run(main(*sys.argv[1:]))
