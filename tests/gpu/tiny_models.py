"""Tiny pipelines with random weights, made once a test run, and what an editor needs to load them."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.gpu.editors import EditedImage, load_editor

KINDS = {
    "flux_kontext": "kontext",
    "qwen_image_edit": "qwen-edit",
    "qwen_image_edit_plus": "qwen-edit-plus",
    "instruct_pix2pix": "ip2p",
}
EDITORS = tuple(KINDS)
EACH = pytest.mark.parametrize("name", EDITORS)


@cache
def _root() -> Path:
    import torch

    torch.set_num_threads(1)  # the models are so small that threads only wait for each other
    folder = Path(tempfile.mkdtemp(prefix="tiny"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def model(name: str) -> Path:
    """The folder of that editor's tiny pipeline. Do not write there."""
    from training.gpu.tiny import make

    return make(KINDS[name], _root() / name)


def settings(name: str, **changes: Any) -> dict[str, Any]:
    small = {"condition_size": 64} if name == "qwen_image_edit_plus" else {}
    words = {"words": 32} if name == "flux_kontext" else {}
    return {"model": str(model(name)), "preset": "cpu", "size": 64, "steps": 2, **small, **words, **changes}


def load(name: str, **changes: Any) -> Any:
    return load_editor(name, settings(name, **changes))


@cache
def loaded(name: str) -> Any:
    """An editor that several tests share. Do not change it."""
    return load(name, batch=3)


def distance(one: EditedImage, other: EditedImage) -> int:
    """The largest difference of a pixel, of 255."""
    return int(np.abs(np.asarray(one.image).astype(int) - np.asarray(other.image)).max())
