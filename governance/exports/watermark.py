"""Writes on a picture who had it exported, when and under which number.

The text runs slantwise over the whole picture, faint, so that cutting an edge off does not remove
it, and stands once more, plainly, in a strip below. A letter that the font lacks is never drawn
as a box: then the ASCII form of the text is taken.
"""

from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
)
_LEAST_WIDTH = 320
_ANGLE = 24
_FAINT = 64
_QUALITY = 92

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def _font_file() -> str | None:
    return next((path for path in _FONTS if Path(path).is_file()), None)


def _font(size: int) -> Font:
    path = _font_file()
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)


def drawable(text: str) -> bool:
    """Say whether the font at hand has a glyph for every letter of `text`."""
    font = _font(20)
    box = bytes(font.getmask("\U0010ffff"))
    return all(
        letter == " " or (letter.isprintable() and bytes(font.getmask(letter)) != box)
        for letter in text
    )


def shown_name(display_name: str, username: str, account_id: str) -> str:
    """Return how a person is named on a picture: by what the font at hand can draw."""
    both = f"{display_name} ({username})"
    if drawable(both):
        return both
    return f"{username} {account_id}" if username.isascii() else account_id


def stamp(picture: bytes, lines: tuple[str, ...]) -> bytes:
    """Return the picture as a JPEG without metadata, with `lines` over it and below it.

    Args:
        picture: JPEG or PNG.
        lines: drawable texts, the most important first.

    Raises:
        OSError: the picture cannot be decoded.
    """
    with Image.open(BytesIO(picture)) as opened:
        base = opened.convert("RGB")
    width = max(base.width, _LEAST_WIDTH)
    size = max(12, min(width // 44, 40))
    font = _fitting(lines, width - 16, size)
    step = round(_height(font) * 1.35)
    whole = Image.new("RGB", (width, base.height + step * len(lines) + 10), "black")
    whole.paste(base, (0, 0))
    veil = _slanted(" · ".join(lines), base.size, max(12, size))
    whole.paste(veil, (0, 0), veil)
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        draw.text((8, base.height + 4 + number * step), line, fill="white", font=font)
    out = BytesIO()
    whole.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _height(font: Font) -> int:
    left, top, right, bottom = font.getbbox("Ág国")
    del left, right
    return round(bottom - min(0, top))


def _fitting(lines: tuple[str, ...], width: int, size: int) -> Font:
    """Return the largest font, down to 8 px, in which every line fits into `width`."""
    while size > 8 and any(_font(size).getlength(line) > width for line in lines):
        size -= 1
    return _font(size)


def _slanted(text: str, size: tuple[int, int], letters: int) -> Image.Image:
    """Return a transparent picture of `size` with `text` over and over."""
    reach = round((size[0] ** 2 + size[1] ** 2) ** 0.5) + letters
    sheet = Image.new("L", (reach, reach), 0)
    draw = ImageDraw.Draw(sheet)
    font = _font(letters)
    step = round(font.getlength(text + "      "))
    for row, y in enumerate(range(0, reach, letters * 5)):
        for x in range(-step // 2 * (row % 2), reach, step):
            draw.text((x, y), text, fill=_FAINT, font=font)
    turned = sheet.rotate(_ANGLE)
    left, top = (reach - size[0]) // 2, (reach - size[1]) // 2
    alpha = turned.crop((left, top, left + size[0], top + size[1]))
    veil = Image.new("RGBA", size, (255, 255, 255, 0))
    veil.putalpha(alpha)
    return veil
