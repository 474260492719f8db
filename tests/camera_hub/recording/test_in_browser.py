"""A real Chromium plays what was recorded, whole files one after another."""

import asyncio
import base64
import shutil
from collections.abc import Callable

import pytest
from playwright.async_api import async_playwright

from camera_hub.recording.format import (
    TIMESCALE,
)
from camera_hub.recording.scanning import (
    scan,
)
from tests.camera_hub.recording.footage_feed import Rig, info_of
from tests.camera_hub.recording.test_recorder import files_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium"),
]

PLAY = """
async ([codec, files]) => {
  const video = document.createElement('video')
  video.muted = true
  document.body.append(video)
  const source = new MediaSource()
  video.src = URL.createObjectURL(source)
  await new Promise((done) => source.addEventListener('sourceopen', done, { once: true }))
  const buffer = source.addSourceBuffer(`video/mp4; codecs="${codec}"`)
  const append = (bytes) => new Promise((done, failed) => {
    buffer.addEventListener('updateend', done, { once: true })
    buffer.addEventListener('error', () => failed(new Error('refused')), { once: true })
    buffer.appendBuffer(bytes)
  })
  let at = 0
  for (const [text, seconds] of files) {
    buffer.timestampOffset = at
    await append(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)))
    at += seconds
  }
  source.endOfStream()
  video.currentTime = at - 1.5
  await new Promise((done) => video.addEventListener('seeked', done, { once: true }))
  const ranges = []
  for (let n = 0; n < video.buffered.length; n++) {
    ranges.push([video.buffered.start(n), video.buffered.end(n)])
  }
  return { ranges, at: video.currentTime, width: video.videoWidth, ready: video.readyState,
           error: video.error && video.error.message }
}
"""


async def test_files_are_played_without_a_gap(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of(segment_s=5)
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    await asyncio.to_thread(rig.feed, 250)
    rig.recorder.closed()
    await asyncio.to_thread(rig.settle)
    files = files_of(rig)
    assert len(files) == 2
    scans = [scan(path) for path in files]
    content = [
        [
            base64.b64encode(path.read_bytes()).decode(),
            sum(part.duration for part in found.parts) / TIMESCALE,
        ]
        for path, found in zip(files, scans, strict=True)
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless=new", "--no-sandbox"]
        )
        page = await browser.new_page()
        await page.goto("about:blank")
        shown = await page.evaluate(PLAY, [scans[0].header.codec, content])
        await browser.close()
    assert shown["error"] is None
    ((start, end),) = shown["ranges"]
    assert (start, round(end, 2)) == (0, 10.0)
    assert (shown["width"], shown["at"]) == (320, 8.5)
    assert shown["ready"] >= 2
