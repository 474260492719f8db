"""A real process that only sends; its arguments are the URL of the store and the data directory."""

import asyncio
import sys
from pathlib import Path

from core.clock import SystemClock
from core.database import Database
from core.logging import configure_logging
from core.secrets import SecretBox
from core.settings import Settings
from core.settings_loop import DeliverySettings
from governance.deliveries.keys import DeliveryKeys
from governance.deliveries.sender import Sender
from governance.deliveries.service import Deliveries
from tests.support.stores import import_all_models


async def main(url: str, data_dir: str) -> None:
    """Send until killed."""
    import_all_models()
    settings = Settings(
        data_dir=Path(data_dir),
        deliveries=DeliverySettings(allow_private=True, timeout_s=60, attempts=3),
    )
    clock, keys = SystemClock(), DeliveryKeys(settings.deliveries_dir)
    sender = Sender(
        Database(url),
        clock,
        settings,
        secrets=SecretBox.from_file(settings.secret_key_file),
        keys=keys,
        deliveries=Deliveries(clock, keys),
    )
    await sender.run()


if __name__ == "__main__":
    configure_logging("error")
    asyncio.run(main(*sys.argv[1:]))
