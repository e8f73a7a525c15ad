"""A saved reward model of the drawn world for tests, with pictures that it knows and some that it does not."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from drawnworld.edits import Pair, draw_pair
from tests.gpu.reward.test_checkpoint import TOLD, network
from training.gpu.reward import checkpoint

PAIR = draw_pair(78, 3)
OTHER = draw_pair(78, 4)


def saved(folder: Path) -> Path:
    """Dimensions: alignment from 1 to 5, overall from 0 to 100."""
    checkpoint.save(network(), folder, TOLD)
    return folder


def encoded(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(out, "PNG")
    return out.getvalue()


def photograph() -> bytes:
    """No drawn scene."""
    return encoded(np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8))


def pictures(pair: Pair) -> list[bytes]:
    """The source, the right edit, and one that is too bright."""
    bright = np.clip(pair.target.astype(int) + 25, 0, 255).astype(np.uint8)
    return [encoded(pair.source), encoded(pair.target), encoded(bright)]


def written(folder: Path) -> dict[str, Path]:
    """The same as files."""
    files = {}
    for name, pair in (("a", PAIR), ("b", OTHER)):
        for part, data in zip(("source", "good", "bright"), pictures(pair), strict=True):
            files[f"{name}-{part}"] = folder / f"{name}-{part}.png"
            files[f"{name}-{part}"].write_bytes(data)
    files["photo"] = folder / "photo.png"
    files["photo"].write_bytes(photograph())
    return files
