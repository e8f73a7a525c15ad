"""What verify says of good images, and which files it refuses."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from annotation.importing.images import content_hash, decode, verify, view_copy
from annotation.importing.limits import Limits
from annotation.importing.problems import ImportProblem
from tests.importing.make import chunk, encode, pixels, png, raw_png


def refusal(data: bytes, limits: Limits | None = None) -> str:
    """The sentence by which both entry points refuse ``data``; they must agree."""
    with pytest.raises(ImportProblem) as caught:
        verify(data, limits or Limits())
    with pytest.raises(ImportProblem) as again:
        view_copy(data, limits=limits or Limits())
    assert caught.value.problem == again.value.problem
    return caught.value.problem.sentence


def test_it_works() -> None:
    data = png(24, 16)
    image = verify(data)
    assert image.sha256 == hashlib.sha256(data).hexdigest() == content_hash(data)
    assert (image.width, image.height, image.format, image.mode, image.suffix) == (24, 16, "PNG", "RGB", ".png")
    assert not image.grey
    assert not image.transparent
    assert np.array_equal(np.asarray(decode(data)), np.asarray(pixels(24, 16)))


@pytest.mark.parametrize(
    ("kind", "options", "suffix"),
    [
        ("PNG", {}, ".png"),
        ("JPEG", {}, ".jpg"),
        ("JPEG", {"progressive": True}, ".jpg"),
        ("WEBP", {}, ".webp"),
        ("WEBP", {"lossless": True}, ".webp"),
    ],
)
def test_the_three_formats_are_taken_by_content(kind: str, options: dict[str, object], suffix: str) -> None:
    image = verify(encode(pixels(), kind, **options))
    assert (image.format, image.suffix) == (kind, suffix)


def test_the_same_picture_has_the_same_pixel_hash_in_another_file() -> None:
    one, other = encode(pixels(), "PNG"), encode(pixels(), "WEBP", lossless=True)
    assert verify(one).pixel_hash == verify(other).pixel_hash
    assert verify(one).sha256 != verify(other).sha256


def test_the_pixel_hash_knows_the_size_and_the_pixels() -> None:
    hashes = {verify(encode(Image.new("RGB", size, "red"))).pixel_hash for size in [(8, 32), (16, 16), (32, 8)]}
    hashes.add(verify(encode(Image.new("RGB", (16, 16), "blue"))).pixel_hash)
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"This is no image.", "not an image that can be read"),
        (b"\0" * 1000, "not an image that can be read"),
        (encode(pixels(), "GIF"), "a GIF image"),
        (encode(pixels(), "TIFF"), "a TIFF image"),
        (encode(pixels(), "BMP"), "a BMP image"),
        (encode(pixels(), "AVIF"), "a HEIC or AVIF image"),
        (encode(pixels(), "PPM"), "not an image that can be read"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"  <SVG onload='alert(1)'></SVG>", "an SVG drawing"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"PK\x03\x04...", "a zip file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "a Git LFS pointer"),
        (b"<html><script>alert(1)</script></html>", "not an image that can be read"),
    ],
)
def test_other_types_are_refused_by_their_name(data: bytes, kind: str) -> None:
    assert refusal(data).startswith(f"This is {kind}")
    assert refusal(data).endswith("Use PNG, JPEG or WebP.")


def test_an_empty_file_is_refused() -> None:
    assert refusal(b"") == "The file is empty."


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("WEBP", {"lossless": True})],
)
def test_a_file_cut_short_anywhere_is_refused(kind: str, options: dict[str, object]) -> None:
    whole = encode(pixels(16, 16), kind, **options)
    verify(whole)
    for end in range(12, len(whole)):
        with pytest.raises(ImportProblem, match=f"The {kind} image is damaged or cut short|The image is"):
            verify(whole[:end])


def test_a_png_with_a_wrong_checksum_is_refused() -> None:
    data = bytearray(png())
    data[data.find(b"IDAT") + 20] ^= 1
    assert "damaged" in refusal(bytes(data))


@pytest.mark.parametrize("side", [20_000, 60_000, 2**31 - 1])
def test_a_png_that_promises_a_huge_picture_is_refused_before_decoding(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        assert "pixels" in refusal(raw_png(side, side, b""))
        assert "pixels" in refusal(raw_png(side, 2, b""))


def test_a_bomb_is_refused_by_the_same_words_where_warnings_are_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refusal(raw_png(10_000, 10_000, b"")) == "The image has more than 50,000,000 pixels."


def test_a_webp_that_promises_a_huge_picture_is_refused() -> None:
    body = encode(pixels(), "WEBP")[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_382).to_bytes(3, "little") * 2
    data = b"RIFF" + struct.pack("<I", len(canvas + body) + 4) + b"WEBP" + canvas + body
    assert "pixels" in refusal(data)


def test_the_pixel_limit_is_exact() -> None:
    assert verify(png(24, 16), Limits(max_pixels=24 * 16)).width == 24
    assert "24 × 16 pixels; the limit is 383 in all" in refusal(png(24, 16), Limits(max_pixels=24 * 16 - 1))


def test_the_side_limits_are_exact() -> None:
    assert verify(png(24, 8), Limits(max_side=24)).width == 24
    assert "the limit is 23 a side" in refusal(png(24, 8), Limits(max_side=23))
    assert "each side needs at least 8" in refusal(png(24, 7))


def test_a_picture_without_a_side_is_refused() -> None:
    assert refusal(raw_png(0, 16, b""))
    assert refusal(raw_png(16, 0, b""))


def test_pillows_global_limit_stays_as_it_is() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(4) as pool:
        small = [pool.submit(verify, png(seed=number), Limits(max_pixels=10_000)) for number in range(20)]
        large = [pool.submit(verify, png(200, 100), Limits(max_pixels=10_000)) for _ in range(20)]
    assert all(future.exception() is None for future in small)
    assert all(isinstance(future.exception(), ImportProblem) for future in large)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    data = encode(pixels(), kind, save_all=True, append_images=[pixels(seed=1)])
    assert refusal(data) == "The image is animated. Give one still image."


def test_a_photograph_with_a_second_picture_for_the_camera_is_taken() -> None:
    # MPO: phones store previews and depth maps after the photograph in the same JPEG.
    image = verify(encode(pixels(), "MPO", save_all=True, append_images=[pixels(seed=1)]))
    assert (image.format, image.suffix) == ("JPEG", ".jpg")
    assert image.pixel_hash == verify(encode(pixels(), "JPEG")).pixel_hash


def test_a_jpeg_with_hundreds_of_scans_is_refused() -> None:
    data = encode(pixels(), "JPEG", progressive=True)
    scan = data.rfind(b"\xff\xda")
    assert "more than 100 scans" in refusal(data[:scan] + data[scan:-2] * 200 + b"\xff\xd9")


def test_bytes_after_a_jpeg_are_no_scans() -> None:
    verify(encode(pixels(), "JPEG") + b"\x00\x02" + b"\xff\xda\x00\x02" * 1000)  # the short film of a "live" photograph


def test_text_bombs_in_a_png_are_refused() -> None:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 * 1024 * 1024)))
    rows = (b"\0" + bytes(24 * 3)) * 16
    assert "damaged" in refusal(raw_png(24, 16, rows, extra=bomb))


def colour_of(data: bytes) -> tuple[int, ...]:
    return tuple(int(value) for value in np.asarray(decode(data))[2, 2])


def test_cmyk_becomes_rgb() -> None:
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    assert verify(data).mode == "CMYK"
    red, green, blue = colour_of(data)
    assert red > 200
    assert max(green, blue) < 60


def test_a_palette_becomes_rgb() -> None:
    image = Image.new("RGB", (16, 16), (10, 200, 30)).quantize(4)
    assert verify(encode(image)).mode == "P"
    assert colour_of(encode(image)) == (10, 200, 30)


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 8, 8))
    data = encode(image)
    assert verify(data).transparent
    assert np.asarray(decode(data))[12, 12].tolist() == [255, 255, 255]
    assert colour_of(data) == (0, 0, 255)
    half = encode(Image.new("RGBA", (16, 16), (0, 0, 0, 128)))
    assert colour_of(half) == (127, 127, 127)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "1"])
def test_a_transparent_colour_is_laid_on_white(mode: str) -> None:
    data = encode(Image.new(mode, (16, 16), 0), transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert verify(data).transparent
    assert colour_of(data) == (255, 255, 255)


def test_an_opaque_alpha_channel_changes_nothing() -> None:
    image = pixels().convert("RGBA")
    assert not verify(encode(image)).transparent
    assert verify(encode(image)).pixel_hash == verify(png()).pixel_hash


def test_grey_of_16_bits_keeps_its_high_byte() -> None:
    values = (np.arange(16 * 16, dtype=np.uint16) * 256 + 7).reshape(16, 16)
    data = encode(Image.fromarray(values))
    assert verify(data).mode == "I;16"
    assert np.asarray(decode(data))[..., 0].ravel().tolist() == list(range(256))


def test_colour_of_16_bits_keeps_its_high_byte() -> None:
    row = b"\0" + bytes([200, 1, 100, 2, 50, 3]) * 16
    assert colour_of(raw_png(16, 16, row * 16, depth=16)) == (200, 100, 50)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_grey_is_seen_in_every_mode(mode: str) -> None:
    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8))
    assert verify(encode(grey.convert("RGB").convert(mode) if mode != "P" else grey.convert("P"))).grey


def test_one_coloured_pixel_is_not_grey() -> None:
    image = Image.new("RGB", (16, 16), "grey")
    for colour in [(128, 128, 127), (127, 128, 128), (128, 127, 128)]:
        image.putpixel((15, 15), colour)
        assert not verify(encode(image)).grey


def turned(orientation: object) -> bytes:
    """A picture of 24 by 16 whose EXIF says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(pixels(24, 16), "PNG", exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    stored = np.asarray(pixels(24, 16))
    # By the definition of the tag: which side of the stored picture is the seen top, and which its left.
    seen = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored[::-1].transpose(1, 0, 2),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: stored[:, ::-1].transpose(1, 0, 2),
    }[orientation]
    data = turned(orientation)
    assert np.array_equal(np.asarray(decode(data)), seen)
    assert (verify(data).height, verify(data).width) == seen.shape[:2]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_without_meaning_is_passed_over(orientation: int) -> None:
    assert (verify(turned(orientation)).width, verify(turned(orientation)).height) == (24, 16)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_passed_over() -> None:
    rows = (b"\0" + bytes(24 * 3)) * 16
    for exif in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 20, b"?" * 50):
        assert verify(raw_png(24, 16, rows, extra=chunk(b"eXIf", exif))).width == 24


def test_the_original_is_not_touched() -> None:
    data = turned(6)
    before = bytes(data)
    verify(data)
    view_copy(data)
    assert data == before
    assert Image.open(io.BytesIO(data)).size == (24, 16)
