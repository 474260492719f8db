"""Many viewers in a process of their own: URL, cookie, how many, seconds, camera ids."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect


async def watch(url: str, origin: str, cookie: str, seconds: float) -> int:
    """Watch one stream; return how many bytes of video came."""
    received = 0
    headers = {"Cookie": cookie}
    async with connect(url, additional_headers=headers, origin=origin, max_size=None) as socket:
        try:
            async with asyncio.timeout(seconds):
                async for message in socket:
                    received += len(message) if isinstance(message, bytes) else 0
        except TimeoutError:
            return received
    return received


async def main() -> None:
    """Run the viewers and print what each got."""
    origin, cookie, count, seconds, *cameras = sys.argv[1:]
    base = origin.replace("http", "ws", 1)
    urls = [f"{base}/api/v1/cameras/{cameras[i % len(cameras)]}/live" for i in range(int(count))]
    got = await asyncio.gather(*(watch(u, origin, cookie, float(seconds)) for u in urls))
    print(json.dumps({"bytes": got}))


asyncio.run(main())
