"""The copies that people look at: exact where small, never with a trace of where they come from."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from annotation.importing.images import verify, view_copy
from tests.importing.make import encode, pixels, png, raw_png

SECRET = b"made-by-editor-7"


def smooth(width: int, height: int) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    values = np.stack([columns * 255 // width, rows * 255 // height, (columns + rows) % 256 // 2], axis=-1)
    return Image.fromarray(values.astype(np.uint8))


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_it_works() -> None:
    copy = view_copy(encode(smooth(400, 300), "JPEG"))
    image = opened(copy.data)
    assert (image.format, image.mode, image.size) == ("WEBP", "RGB", (400, 300))
    assert (copy.width, copy.height) == (400, 300)
    error = np.abs(np.asarray(image).astype(int) - np.asarray(smooth(400, 300)).astype(int))
    assert error.mean() < 3


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (128, 8)])
def test_small_images_keep_every_pixel(size: tuple[int, int]) -> None:
    image = opened(view_copy(png(*size)).data)
    assert np.array_equal(np.asarray(image), np.asarray(pixels(*size)))


def test_larger_images_are_compressed() -> None:
    assert b"VP8L" in view_copy(png(128, 128)).data[:40]
    assert b"VP8 " in view_copy(png(129, 128)).data[:40]
    assert b"VP8 " in view_copy(png(300, 300), max_side=100).data[:40]


@pytest.mark.parametrize(
    ("size", "seen"),
    [((2000, 1000), (1024, 512)), ((1000, 2048), (500, 1024)), ((1024, 1024), (1024, 1024)), ((5000, 8), (1024, 2))],
)
def test_large_images_are_made_to_fit(size: tuple[int, int], seen: tuple[int, int]) -> None:
    copy = view_copy(encode(Image.new("RGB", size, "teal")))
    assert (copy.width, copy.height) == seen == opened(copy.data).size


def test_a_strip_keeps_at_least_one_pixel() -> None:
    assert view_copy(encode(Image.new("RGB", (16_384, 8), "teal")), max_side=512).height == 1


@pytest.mark.parametrize("size", [(64, 64), (300, 200)])
def test_the_same_bytes_come_out_every_time(size: tuple[int, int]) -> None:
    data = png(*size)
    with ThreadPoolExecutor(4) as pool:
        copies = {pool.submit(view_copy, data).result() for _ in range(8)}
    assert len(copies) == 1


@pytest.mark.parametrize("size", [(64, 64), (300, 200)])
def test_nothing_shows_which_format_an_editor_wrote(size: tuple[int, int]) -> None:
    formats = [encode(pixels(*size), "PNG"), encode(pixels(*size), "WEBP", lossless=True)]
    alpha = encode(pixels(*size).convert("RGBA"), "PNG", compress_level=1)
    assert len({view_copy(data).data for data in [*formats, alpha]}) == 1


def marked(kind: str, size: tuple[int, int]) -> bytes:
    """An image with its maker's name, a place and a date in everything that can hold them."""
    exif = Image.Exif()
    exif[0x0131] = SECRET.decode()
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 15.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, object] = {
        "exif": exif,
        "icc_profile": profile,
        "xmp": b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>",
    }
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Software", SECRET.decode())
        text.add_itxt("parameters", SECRET.decode())
        options = {"exif": exif, "icc_profile": profile, "pnginfo": text, "dpi": (300, 300)}
    if kind == "JPEG":
        options["comment"] = SECRET
    return encode(pixels(*size), kind, **options)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(64, 64), (300, 200)])
def test_metadata_is_stripped(kind: str, size: tuple[int, int]) -> None:
    data = marked(kind, size)
    assert SECRET in data
    assert Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825)
    copy = view_copy(data).data
    image = opened(copy)
    assert not image.getexif()
    assert not image.info.keys() & {"exif", "icc_profile", "xmp", "comment", "dpi", "parameters", "Software"}
    for trace in (SECRET, b"EXIF", b"ICCP", b"XMP", b"VP8X"):
        assert trace not in copy


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_files_that_are_two_things_at_once_become_one(kind: str) -> None:
    data = encode(pixels(200, 200), kind) + b"PK\x03\x04<script>alert(1)</script>"
    assert verify(data).format == kind
    assert b"<script>" not in view_copy(data).data


def test_the_orientation_is_applied_and_gone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    copy = view_copy(encode(pixels(64, 32), "PNG", exif=exif))
    assert (copy.width, copy.height) == (32, 64)
    expected = np.rot90(np.asarray(pixels(64, 32)), -1)
    assert np.array_equal(np.asarray(opened(copy.data)), expected)


def swapped_profile(name: bytes) -> bytes:
    """The sRGB profile with red and blue exchanged and another name."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace("sRGB".encode("utf-16-be"), name.decode().encode("utf-16-be"))
    for kind in (b"XYZ", b"TRC"):
        data = (
            data.replace(b"r" + kind, b"?" + kind).replace(b"b" + kind, b"r" + kind).replace(b"?" + kind, b"b" + kind)
        )
    return data


def seen_colour(data: bytes) -> tuple[int, ...]:
    return tuple(int(value) for value in np.asarray(opened(view_copy(data).data))[4, 4])


def test_a_colour_profile_is_turned_into_srgb() -> None:
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    colour = seen_colour(encode(red, icc_profile=swapped_profile(b"BGRs")))
    assert colour[2] > 250
    assert max(colour[:2]) < 5


def test_alpha_lies_over_the_turned_colour() -> None:
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert seen_colour(encode(clear, icc_profile=swapped_profile(b"BGRs"))) == (255, 255, 255)


def test_srgb_by_name_changes_no_pixel() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    copy = view_copy(encode(pixels(64, 64), icc_profile=profile))
    assert np.array_equal(np.asarray(opened(copy.data)), np.asarray(pixels(64, 64)))


def test_a_profile_that_calls_itself_srgb_is_taken_at_its_word() -> None:
    # Real sRGB profiles differ by a rounding step, which would change pixels for nothing.
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    assert seen_colour(encode(red, icc_profile=swapped_profile(b"sRGB"))) == (255, 0, 0)


@pytest.mark.parametrize("profile", [b"?", b"\0" * 128, b"x" * 5000])
def test_a_damaged_profile_is_passed_over(profile: bytes) -> None:
    assert seen_colour(encode(Image.new("RGB", (16, 16), (1, 2, 3)), icc_profile=profile)) == (1, 2, 3)


def test_a_profile_for_other_colours_is_passed_over() -> None:
    profile = swapped_profile(b"BGRs")
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert seen_colour(encode(cmyk, "JPEG", icc_profile=profile)) == seen_colour(encode(cmyk, "JPEG"))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert seen_colour(encode(Image.new("RGB", (16, 16), (1, 2, 3)), icc_profile=lab)) == (1, 2, 3)


def test_a_png_by_hand_is_shown() -> None:
    assert seen_colour(raw_png(16, 16, (b"\0" + bytes([9, 8, 7]) * 16) * 16)) == (9, 8, 7)
