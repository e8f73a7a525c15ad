"""The two charts of the viewing check, drawn with the digits that are asked for. Pure, PNG: no loss, no metadata.

Not a medical test. The grey chart asks for steps that a usable screen in a room that is not too bright shows; the
colour chart for the two confusions that matter (red with green, blue with yellow), with brightness made useless by
chance, as plates with dots have done since Ishihara.
"""

from __future__ import annotations

import colorsys
import io
import math
import random

from PIL import Image, ImageDraw, ImageFont

from annotation.assign import seeded

PATCH = (96, 120)
STEP_AT_ENDS, STEP = 18, 12  # of 255: how far a digit is from its ground
PLATE, GRID, DOT = 240, 9, (3, 4)  # side of a plate, distance of its dots, their radii
HUES = ((0.08, 0.58), (0.0, 0.36), (0.15, 0.62))  # digit and ground of each plate: orange/blue, red/green, yellow/blue


def grey(digits: str) -> bytes:
    """Patches from black to white; each has a digit a little nearer to the middle than its ground."""
    width, height = PATCH
    image = Image.new("L", (width * len(digits), height))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(72)
    for place, digit in enumerate(digits):
        level = round(255 * place / (len(digits) - 1))
        step = STEP_AT_ENDS if place in (0, len(digits) - 1) else STEP
        left = place * width
        draw.rectangle((left, 0, left + width - 1, height - 1), fill=level)
        draw.text(
            (left + width / 2, height / 2),
            digit,
            fill=level + step if level < 128 else level - step,
            font=font,
            anchor="mm",
        )
    return _png(image)


def colour(digits: str) -> bytes:
    """A plate of dots for each digit. Hue alone tells digit from ground: every dot's brightness is random."""
    image = Image.new("RGB", (PLATE * len(digits), PLATE), (230, 230, 230))
    for place, digit in enumerate(digits):
        image.paste(_plate(digit, HUES[place % len(HUES)], seeded("plate", digits, place)), (place * PLATE, 0))
    return _png(image)


def _plate(digit: str, hues: tuple[float, float], chance: random.Random) -> Image.Image:
    mask = Image.new("1", (PLATE, PLATE))
    font = ImageFont.load_default(180)
    ImageDraw.Draw(mask).text((PLATE / 2, PLATE / 2), digit, fill=1, font=font, anchor="mm", stroke_width=6)
    plate = Image.new("RGB", (PLATE, PLATE), (230, 230, 230))
    draw = ImageDraw.Draw(plate)
    for x, y in _places(chance):
        radius, hue = chance.randint(*DOT), hues[0] if mask.getpixel((x, y)) else hues[1]
        fill = _shade(hue, chance.uniform(0.3, 0.55))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    return plate


def _places(chance: random.Random) -> list[tuple[int, int]]:
    """Middles of the dots: a grid within a disc, shaken, so that no rows can be seen."""
    half = PLATE // 2
    grid = ((x, y) for x in range(GRID, PLATE, GRID) for y in range(GRID, PLATE, GRID))
    inside = [(x, y) for x, y in grid if math.hypot(x - half, y - half) < half - GRID]
    return [(x + chance.randint(-2, 2), y + chance.randint(-2, 2)) for x, y in inside]


def _shade(hue: float, luma: float) -> tuple[int, int, int]:
    """The colour of this hue with this luma (Rec. 709 weights, of the encoded values), found by halving."""
    low, high = 0.0, 1.0
    for _step in range(10):
        lightness = (low + high) / 2
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.65)
        if 0.2126 * red + 0.7152 * green + 0.0722 * blue < luma:
            low = lightness
        else:
            high = lightness
    return round(255 * red), round(255 * green), round(255 * blue)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
