"""In which parts a picture is looked at."""

# A picture longer than this is looked at in parts too, each a quarter longer than its share.
_TILE = 800
_OVERLAP = 1.25


def tiles(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Return the parts (x, y, width, height) to look at: the whole, and tiles of a large picture.

    The detector scales what it gets to 640 pixels, in which somebody far away may be lost. Tiles
    overlap, so that whoever one of them cuts is whole in the next or in the picture as a whole.
    """
    parts = [(0, 0, width, height)]
    columns, rows = _cut(width), _cut(height)
    if len(columns) * len(rows) > 1:
        parts += [(x, y, across, down) for y, down in rows for x, across in columns]
    return parts


def _cut(length: int) -> list[tuple[int, int]]:
    """Return start and length of the fewest overlapping parts that are not much scaled down."""
    count = -(-length // _TILE)
    if count == 1:
        return [(0, length)]
    part = min(length, round(length / count * _OVERLAP))
    return [(round(i * (length - part) / (count - 1)), part) for i in range(count)]
