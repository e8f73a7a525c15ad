"""A small textured picture and cases of all eight tasks for it."""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from training.gpu.editors import EditCase

WIDTH, HEIGHT = 120, 90
MASKLESS = ("relight", "style")

PARAMS: dict[str, dict[str, Any]] = {
    "add": {"object": {"draw": "balloon", "color": "#e02838"}, "box": [0.38, 0.3, 0.2, 0.5], "shadow": "drop"},
    "remove": {},
    "swap": {"object": {"draw": "button", "color": "#2c62c0"}, "box": [0.35, 0.3, 0.3, 0.4]},
    "color": {"color": "#2b62c4"},
    "background": {"backdrop": {"draw": "studio"}},
    "bokeh": {"radius": 0.03},
    "relight": {"from": "left", "color": "#ffb066"},
    "style": {"style": "oil"},
}


def picture() -> Image.Image:
    """Grass-like noise on a gradient, with an orange ball in the middle."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    base = np.stack([60 + 80 * x / WIDTH, 120 + 60 * y / HEIGHT, 70 + 20 * np.sin(x / 3) * np.sin(y / 2)], axis=-1)
    base += np.random.default_rng(0).normal(0, 9, (HEIGHT, WIDTH, 1))
    image = Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))
    ImageDraw.Draw(image).ellipse(ball_box(), fill=(230, 120, 30))
    return image


def ball_box() -> tuple[int, int, int, int]:
    return 44, 29, 76, 61


def mask(task: str) -> Image.Image | None:
    """White where the picture may change; for background and bokeh all but the ball."""
    if task in MASKLESS:
        return None
    image = Image.new("L", (WIDTH, HEIGHT))
    left, top, right, bottom = ball_box()
    grow = 0 if task in ("background", "bokeh", "color") else 6
    ImageDraw.Draw(image).ellipse((left - grow, top - grow, right + grow, bottom + grow), fill=255)
    return image.point(lambda value: 255 - value) if task in ("background", "bokeh") else image


def case(task: str, **params: Any) -> EditCase:
    return EditCase(picture(), mask(task), f"do the {task}", task, {**PARAMS[task], **params})


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)
