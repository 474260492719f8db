"""Makes docs/images from the running product, with pictures drawn here: no footage is committed.

.venv/bin/python -m tools.screenshots
"""

import asyncio
import base64
import io
import math
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from playwright.async_api import async_playwright

from app.cli.demo import demo_settings
from app.demo import Demo, running_demo, signed_in
from core.clock import SystemClock
from core.ids import new_id

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, FPS, SECONDS = 960, 540, 10, 12
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-sync"]
BOX = (0.56, 0.40, 0.64, 0.74)


def courtyard(second: float, *, person: bool) -> Image.Image:
    """Draw a courtyard at dusk, with or without somebody at the pump house."""
    image = Image.new("RGB", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(image)
    for y in range(HEIGHT):
        share = y / HEIGHT
        draw.line((0, y, WIDTH, y), fill=(int(38 + 60 * share), int(52 + 48 * share), 92))
    for left, top, right, tone in ((40, 90, 300, 70), (330, 150, 520, 82), (700, 60, 940, 64)):
        draw.rectangle((left, top, right, 360), fill=(tone, tone + 4, tone + 18))
        for x in range(left + 18, right - 24, 44):
            for y in range(top + 20, 330, 46):
                lit = (x * 7 + y * 3) % 5 < 2
                draw.rectangle(
                    (x, y, x + 22, y + 26), fill=(238, 206, 140) if lit else (44, 50, 68)
                )
    draw.polygon(((0, 360), (WIDTH, 360), (WIDTH, HEIGHT), (0, HEIGHT)), fill=(88, 92, 90))
    draw.rectangle((560, 250, 690, 400), fill=(122, 96, 74))
    draw.polygon(((548, 252), (625, 205), (702, 252)), fill=(94, 62, 52))
    draw.rectangle((606, 310, 646, 400), fill=(58, 44, 38))
    for x in range(0, WIDTH, 26):
        draw.line((x, 392, x, 436), fill=(52, 58, 60), width=3)
    draw.line((0, 400, WIDTH, 400), fill=(52, 58, 60), width=3)
    glow = int(20 * math.sin(second * 2))
    draw.ellipse((180, 300, 216, 336), fill=(255, 232, 170 + glow // 4))
    draw.line((198, 336, 198, 480), fill=(40, 44, 46), width=6)
    if person:
        x1, y1, x2, y2 = (
            int(v) for v in (BOX[0] * WIDTH, BOX[1] * HEIGHT, BOX[2] * WIDTH, BOX[3] * HEIGHT)
        )
        middle = (x1 + x2) // 2
        draw.ellipse((middle - 15, y1 + 4, middle + 15, y1 + 36), fill=(196, 154, 128))
        draw.rounded_rectangle((x1 + 16, y1 + 36, x2 - 16, y1 + 110), 14, fill=(30, 64, 96))
        draw.rectangle((middle - 18, y1 + 104, middle - 3, y2 - 2), fill=(34, 34, 40))
        draw.rectangle((middle + 3, y1 + 104, middle + 18, y2 - 2), fill=(34, 34, 40))
    return image.filter(ImageFilter.GaussianBlur(0.8))


def frames() -> Iterator[np.ndarray]:
    """Draw the clip of the virtual cameras."""
    noise = np.random.default_rng(7)
    for number in range(FPS * SECONDS):
        picture = np.asarray(courtyard(number / FPS, person=False), np.int16)
        grain = noise.integers(-5, 6, picture.shape, np.int16)
        yield np.clip(picture + grain, 0, 255).astype(np.uint8)


def make_clip(path: Path) -> None:
    """Write the clip."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for number, picture in enumerate(frames()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def signal(camera: dict[str, Any], severity: str) -> dict[str, Any]:
    """Build a detection as a media worker posts it, with a drawn picture."""
    raw = io.BytesIO()
    courtyard(1.0, person=True).save(raw, "JPEG", quality=90)
    at = SystemClock().now().isoformat()
    return {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": "/tools/screenshots",
        "type": "org.camerahub.detection.intrusion",
        "time": at,
        "subject": camera["id"],
        "datacontenttype": "application/json",
        "data": {
            "phase": "started",
            "event_key": f"{camera['id']}:intrusion",
            "category": "Security",
            "urgency": "Immediate",
            "severity": severity,
            "certainty": "Likely",
            "status": "Actual",
            "headline": f"Person in 'Pump house' at {camera['name']}",
            "camera_id": camera["id"],
            "zone_name": "Pump house",
            "rule": "intrusion",
            "area": camera["area"],
            "observed_at": at,
            "confidence": 0.91,
            "model": {"name": "yolo11n", "version": "8.3", "backend": "openvino"},
            "objects": [{"label": "person", "confidence": 0.91, "box": list(BOX)}],
            "attachments": [
                {
                    "name": "snapshot.jpg",
                    "media_type": "image/jpeg",
                    "content": base64.b64encode(raw.getvalue()).decode(),
                    "width": WIDTH,
                    "height": HEIGHT,
                }
            ],
        },
    }


async def post_signals(demo: Demo) -> None:
    """Post two detections with a token of their own, as a device does."""
    async with signed_in(demo.url, demo.login("admin")) as admin:
        known = (await admin.get("/cameras")).json()["items"]
        # Of the camera in a home the duty desk would be shown no picture.
        cameras = [camera for camera in known if camera["place_kind"] != "home"]
        body = {"name": "screenshots", "scopes": ["signal.post"]}
        token = (await admin.post("/tokens", json=body)).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"{demo.url}/api/v1", headers=headers) as client:
        for camera, severity in ((cameras[1], "Severe"), (cameras[0], "Extreme")):
            event = signal(camera, severity)
            (await client.post("/signals", json=event)).raise_for_status()


async def shoot(demo: Demo) -> None:
    """Save the pages."""
    login = demo.login("duty")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=ARGUMENTS
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 640}, locale="en-US")
        await page.goto(f"{demo.url}/queue")
        await page.locator("input[autocomplete=username]").fill(login.username)
        await page.locator("input[type=password]").fill(login.password)
        await page.keyboard.press("Enter")
        await page.locator("article.line").nth(1).wait_for()
        await page.wait_for_timeout(1500)
        await page.screenshot(path=ROOT / "docs/images/queue.png")
        await page.goto(f"{demo.url}/wall")
        await page.wait_for_timeout(4000)
        await page.screenshot(path=ROOT / "docs/images/wall.png")
        await browser.close()


async def main() -> None:
    """Run the demo on the drawn clip and photograph it."""
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "courtyard.mp4"
        make_clip(clip)
        settings = demo_settings(Path(name) / "demo", port=0)
        async with running_demo(settings, clip, 4, print) as demo:
            await post_signals(demo)
            await shoot(demo)


if __name__ == "__main__":
    asyncio.run(main())
