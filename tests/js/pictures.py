"""Pictures for the annotation pages: drawn ones for tests, photographs with plain edits for looking at the pages."""

import io
from functools import cache
from random import Random

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


@cache
def picture(name: str, letter: str, width: int, height: int, photographs: bool) -> bytes:
    """A WebP image that depends on its arguments alone."""
    source = _photograph(name, width, height) if photographs else _drawn(name, width, height)
    image = source if letter == "source" else _edited(source, letter)
    out = io.BytesIO()
    image.save(out, "webp", lossless=not photographs)
    return out.getvalue()


def _drawn(name: str, width: int, height: int) -> Image.Image:
    random = Random(name)
    image = Image.new("RGB", (width, height), (random.randrange(120, 220),) * 3)
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y, size = random.randrange(width), random.randrange(height), random.randrange(8, max(9, width // 3))
        draw.rectangle((x, y, x + size, y + size), fill=tuple(random.randrange(256) for _ in range(3)))
    return image


def _photograph(name: str, width: int, height: int) -> Image.Image:
    from skimage import data

    chosen = PHOTOGRAPHS[Random(name).randrange(len(PHOTOGRAPHS))]
    return ImageOps.fit(Image.fromarray(getattr(data, chosen)()), (width, height))


def _edited(source: Image.Image, letter: str) -> Image.Image:
    strength = 1 + "ABCDEFGHIJKLMNOPQRSTUVW".index(letter)
    edits = [
        lambda: source.filter(ImageFilter.GaussianBlur(strength / 3)),
        lambda: ImageEnhance.Color(source).enhance(1 + strength / 4),
        lambda: ImageEnhance.Brightness(source).enhance(1 + strength / 30),
        lambda: ImageOps.posterize(source, max(2, 7 - strength // 3)),
    ]
    edited = edits[strength % 4]()
    ImageDraw.Draw(edited).ellipse((5 + strength, 5, 25 + strength, 25), fill=(200, 40, 10 * strength))
    return edited
