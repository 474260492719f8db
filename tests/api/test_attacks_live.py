"""A browser has nothing to say on a live view: one that talks too much, or too long, is cut."""

import asyncio
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from tests.support.http import SignIn
from tests.support.live import AREA, WAIT_S, Scene, closed, receive_media


async def test_a_flood_of_words_ends_the_view_and_no_other(scene: Scene, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    watcher = await sign_in("operator", AREA, at=scene.server)
    async with (
        scene.watch(operator) as loud,
        scene.watch(operator) as long,
        scene.watch(watcher) as other,
    ):
        await receive_media(other)
        with suppress(ConnectionClosed):
            for _ in range(5000):
                await loud.send("x")
        with suppress(ConnectionClosed):
            await long.send("x" * 200_000)
        async with asyncio.timeout(WAIT_S):
            assert (await closed(loud))[0] is not None
            assert (await closed(long))[0] == 1009
        await receive_media(other, 20)
