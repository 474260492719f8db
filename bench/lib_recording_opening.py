"""How long it takes from a press to the first picture of a recording, in a real Chromium.

An operator opens recordings of a month, then jumps within them: to what the browser has not
fetched yet (a minute on), and back. A picture counts when the browser has shown it
(`requestVideoFrameCallback`). The hub, its month and its files are those of `lib_recording_seek`;
files were thrown out of the page cache before the first look at them.
"""

from __future__ import annotations

import random
import statistics
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from api.door import COOKIE

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
OPENINGS = 30
_MINUTE_MS = 60_000
_LOOKS_MS = 1000
"""As long as somebody looks before they press again."""

# Milliseconds from an act to the first picture that was shown after it and lies where it should.
_WAIT = """([press, away]) => new Promise((done, fail) => {
    const before = document.querySelector('video');
    const from = before ? before.currentTime : 0;
    let begun = 0;
    const watch = (video) => video.requestVideoFrameCallback((_, frame) => {
        const right = away === 0 || Math.abs(frame.mediaTime - from - away / 1000) < 3;
        if (right) done(performance.now() - begun);
        else watch(video);
    });
    const find = () => {
        const video = document.querySelector('video');
        if (video) watch(video);
        else requestAnimationFrame(find);
    };
    setTimeout(() => fail(new Error('no picture')), 20000);
    begun = performance.now();
    if (press.startsWith('key ')) {
        const [, shift, key] = press.split(' ');
        dispatchEvent(new KeyboardEvent('keydown', {key, shiftKey: shift === 'shift'}));
    } else document.querySelector(press).click();
    find();
})"""


def _pictures(page: Page, press: str, away: int = 0) -> float:
    found: float = page.evaluate(_WAIT, [press, away])
    return found


def _p95(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=20)[-1], 1)


def opening(facts: dict[str, Any]) -> dict[str, float]:
    """Return `open_ms_p50`, `open_ms_p95`, `jump_ms_p95` and `back_ms_p95`.

    Args:
        facts: what the hub of `lib_recording_seek` said when it was ready.
    """
    first = datetime.fromisoformat(facts["first"])
    times = random.Random(29)
    opened, jumped, back = [], [], []
    base = f"http://127.0.0.1:{facts['port']}"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        context = chromium.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": COOKIE, "value": facts["cookie"], "url": base}])
        page = context.new_page()
        for minute in facts["minutes"][0::2][: OPENINGS + 1]:
            at = first + timedelta(minutes=minute, seconds=times.uniform(1, 48))
            page.goto(
                f"{base}/playback?camera={facts['camera_id']}&at={at:%Y-%m-%dT%H:%M:%S}Z",
                wait_until="networkidle",
            )
            page.get_by_label("What for?").select_option("case")
            page.get_by_label("Case or order").fill("bench")
            opened.append(_pictures(page, "form button[type=submit]"))
            page.wait_for_timeout(_LOOKS_MS)
            jumped.append(_pictures(page, "key shift ArrowRight", _MINUTE_MS))
            page.wait_for_timeout(_LOOKS_MS)
            back.append(_pictures(page, "key shift ArrowLeft", -_MINUTE_MS))
        chromium.close()
    # The first of all fills the browser's caches of code.
    return {
        "open_ms_p50": round(statistics.median(opened[1:]), 1),
        "open_ms_p95": _p95(opened[1:]),
        "jump_ms_p95": _p95(jumped[1:]),
        "back_ms_p95": _p95(back[1:]),
    }
