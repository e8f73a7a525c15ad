"""Editors see a picture as people see it in the library: one decoder for both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotation.importing.images import decode
from tests.gpu.test_generate import events, in_process, item, job
from training.gpu import generate as module
from training.gpu.editors import CannotEdit, EditCase, EditedImage
from training.gpu.generate import read_case
from training.gpu.reading import read_picture


def transparent() -> Image.Image:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[16:48, 16:48] = (200, 30, 30, 255)
    return Image.fromarray(pixels)


def deep() -> Image.Image:
    return Image.fromarray(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1)))


def turned() -> Image.Image:
    image = Image.new("RGB", (64, 32), "red")
    image.getexif()[0x0112] = 6
    return image


MADE: dict[str, tuple[Callable[[], Image.Image], str]] = {
    "transparent": (transparent, "a.png"),
    "16 bits": (deep, "a.png"),
    "turned": (turned, "a.jpg"),
    "grey": (lambda: Image.new("L", (40, 40), 90), "a.webp"),
}


@pytest.mark.parametrize("name", MADE)
def test_editors_see_what_people_see(tmp_path: Path, name: str) -> None:
    make, file = MADE[name]
    image = make()
    image.save(tmp_path / file, exif=image.getexif())
    seen = read_case(tmp_path, {"source": file, "task": "style"}).source
    shown = decode((tmp_path / file).read_bytes())
    assert (seen.mode, seen.size) == ("RGB", shown.size)
    assert np.array_equal(np.asarray(seen), np.asarray(shown))


def test_transparent_is_white_and_sixteen_bits_keep_their_tones(tmp_path: Path) -> None:
    transparent().save(tmp_path / "a.png")
    deep().save(tmp_path / "b.png")
    assert read_picture(tmp_path / "a.png", "image").getpixel((0, 0)) == (255, 255, 255)
    assert 126 < np.asarray(read_picture(tmp_path / "b.png", "image")).mean() < 129


def test_the_output_checks_compare_with_the_same_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Same:
        def edit(self, case: EditCase, seeds: Any) -> list[EditedImage]:
            return [EditedImage(decode((folder / "inputs/t.png").read_bytes()), seed, None, {}, 0.1) for seed in seeds]

    monkeypatch.setattr(module, "load_editor", lambda *_words: Same())
    folder = job(tmp_path / "job", [item("a", source="inputs/t.png")])
    transparent().save(folder / "inputs" / "t.png")
    in_process(folder)
    assert events(folder, "image")[0]["fault"] == "unchanged"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.png", "The image absent.png does not exist"),
        (".", "cannot be read"),
        ("text.png", "text.png cannot be read: This is not an image that can be read. Use PNG, JPEG or WebP."),
        ("scan.tif", "scan.tif cannot be read: This is a TIFF image"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (20, 20)).save(tmp_path / "scan.tif")
    with pytest.raises(CannotEdit, match=words):
        read_picture(tmp_path / name, "image")
