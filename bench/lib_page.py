"""Reading frame numbers off the screen of a real Chromium."""

from typing import Any

from playwright.async_api import async_playwright

from bench.lib_glass import BITS, SQUARE

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]

# Notes (time shown, number in the picture) of each frame the video element presents.
WATCH = """
([bits, square, width]) => {
  const canvas = new OffscreenCanvas(bits * square + 16, square + 16)
  const context = canvas.getContext('2d', { willReadFrequently: true })
  window.seen = []
  const video = document.querySelector('video')
  const note = (now) => {
    const scale = video.videoWidth / width
    context.drawImage(video, 0, 0, canvas.width * scale, canvas.height * scale,
                      0, 0, canvas.width, canvas.height)
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data
    let number = 0
    for (let bit = 0; bit < bits; bit++) {
      const x = 8 + bit * square + square / 2, y = 8 + square / 2
      if (pixels[4 * (y * canvas.width + x)] > 127) number |= 1 << bit
    }
    window.seen.push([(performance.timeOrigin + performance.now()) / 1000, number])
    video.requestVideoFrameCallback(note)
  }
  video.requestVideoFrameCallback(note)
}
"""


async def glass_to_glass(
    url: str, username: str, password: str, camera_id: str, glass: dict[str, Any], seconds: float
) -> list[float]:
    """Watch the camera in the console; return the delay of each frame shown, in milliseconds."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=ARGUMENTS
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        await page.goto(f"{url}/wall/{camera_id}")
        await page.locator("input[autocomplete=username]").fill(username)
        await page.locator("input[type=password]").fill(password)
        await page.keyboard.press("Enter")
        await page.locator("video").first.wait_for()
        # The content security policy forbids waiting inside the page by a function's text.
        while not await page.evaluate("document.querySelector('video').currentTime > 0.5"):
            await page.wait_for_timeout(100)
        # The player starts at the oldest kept picture and closes in on the newest.
        await page.wait_for_timeout(2500)
        await page.evaluate(WATCH, [BITS, SQUARE, 640])
        await page.wait_for_timeout(seconds * 1000)
        seen = await page.evaluate("window.seen")
        await browser.close()
    return delays(seen, glass)


def delays(seen: list[tuple[float, int]], glass: dict[str, Any]) -> list[float]:
    """Return display time minus sending time of each sighting, in milliseconds."""
    frames, fps = glass["frames"], glass["fps"]
    found = []
    for shown, number in seen:
        elapsed = shown - glass["began_unix"]
        loops = round((elapsed - number / fps) * fps / frames)
        found.append((elapsed - (loops * frames + number) / fps) * 1000)
    if len(found) < 20:
        raise RuntimeError(f"only {len(found)} frames were seen on the screen")
    return found
