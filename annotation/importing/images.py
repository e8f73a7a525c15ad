"""Uploaded images: proof that they are whole and harmless, and the copies that people look at.

PNG, JPEG and WebP are read, whatever the file's name says. TIFF, GIF and all else are refused: they bring pages, frames
and many old decoders, and no editor needs them. The original bytes are kept as they came. Everything that is shown is
decoded here and written again, so nothing but pixels reaches a browser.

Pillow's limit against decompression bombs is a global and is not touched (see Limits): the size in the header is
checked after ``Image.open``, which reads the header alone, and before ``load``, which decodes.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from annotation.importing.limits import DEFAULT_LIMITS, Limits
from annotation.importing.problems import ImportProblem, Problem

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
# Importing a plugin registers its decoder; only these three are ever asked.
_PLUGINS = (PngImagePlugin, JpegImagePlugin, WebPImagePlugin)

_OTHERS = (
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"BM", "a BMP image"),
    (b"%PDF", "a PDF document"),
    (b"\0\0\x01\0", "an icon file"),
    (b"PK\x03\x04", "a zip file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the image itself (run git lfs pull)"),
)
_USE = "Use PNG, JPEG or WebP."

# A progressive JPEG has about ten scans. Thousands of them keep a decoder busy for minutes on a few kilobytes.
_MAX_SCANS = 100
# The last chunk, always these bytes (PNG specification, 11.2.5). Pillow does not miss it where the pixels are complete.
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
# Markers that begin a segment: not a stuffed 00, a fill byte, a restart, TEM or SOI, which stand alone.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Drawn scenes of 64 pixels keep exact pixels; WebP at 92 is visually lossless on photographs at a tenth of the size.
LOSSLESS_SIDE = 128
VIEW_SIDE = 1024
_QUALITY, _METHOD = 92, 4


@dataclass(frozen=True, slots=True)
class VerifiedImage:
    """An image that was decoded as a whole.

    ``sha256`` is of the original bytes, ``pixel_hash`` of the picture (see ``decode``): two files with the same picture
    share it whatever their format. ``width`` and ``height`` in pixels, as seen: with the EXIF orientation applied.
    ``format`` is PNG, JPEG or WEBP, ``suffix`` the file ending that belongs to it, ``mode`` Pillow's mode of the
    original. ``grey``: red, green and blue are equal everywhere. ``transparent``: some pixel is not opaque.
    """

    sha256: str
    width: int
    height: int
    format: str
    mode: str
    suffix: str
    pixel_hash: str
    grey: bool
    transparent: bool


class ViewCopy(NamedTuple):
    data: bytes
    width: int
    height: int


class _Decoded(NamedTuple):
    picture: Image.Image
    format: str
    mode: str
    transparent: bool


def content_hash(data: bytes) -> str:
    """SHA-256 of the bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def verify(data: bytes, limits: Limits = DEFAULT_LIMITS) -> VerifiedImage:
    """Decode ``data`` fully and describe it; ImportProblem, without a file name, where it is no usable image."""
    decoded = _decode(data, limits)
    pixels = np.asarray(decoded.picture)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    height, width = red.shape
    # The size goes in too: a flat 2 × 8 picture has the same bytes as a flat 4 × 4 one.
    pixel_hash = hashlib.sha256(f"{width}x{height}:".encode())
    pixel_hash.update(np.ascontiguousarray(pixels).data)
    return VerifiedImage(
        sha256=content_hash(data),
        width=width,
        height=height,
        format=decoded.format,
        mode=decoded.mode,
        suffix=_SUFFIXES[decoded.format],
        pixel_hash=pixel_hash.hexdigest(),
        grey=bool(np.array_equal(red, green) and np.array_equal(green, blue)),
        transparent=decoded.transparent,
    )


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """The picture as a person sees it: RGB of 8 bits in sRGB, upright, on white where it is transparent."""
    return _decode(data, limits).picture


def view_copy(data: bytes, max_side: int = VIEW_SIDE, limits: Limits = DEFAULT_LIMITS) -> ViewCopy:
    """A WebP copy for the browser: no metadata, at most ``max_side`` pixels a side, the same bytes every time.

    Every editor's images get the same format, so that nothing shows which one made them.
    """
    picture = decode(data, limits)
    lossless = max(picture.size) <= LOSSLESS_SIDE
    if (scale := max_side / max(picture.size)) < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    picture.info.clear()  # encoders may take metadata from here
    out = io.BytesIO()
    if lossless:
        picture.save(out, "WEBP", lossless=True, method=_METHOD)
    else:
        picture.save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return ViewCopy(out.getvalue(), *picture.size)


def _decode(data: bytes, limits: Limits) -> _Decoded:
    expected = _kind(data)
    if expected == "JPEG" and _scans(data) > _MAX_SCANS:
        raise _refusal(f"The JPEG has more than {_MAX_SCANS} scans, as files made to stall a decoder do.")
    if expected == "PNG" and _PNG_END not in data:
        raise _damaged(expected)
    try:
        with Image.open(io.BytesIO(data), formats=(expected,)) as image:
            _check_size(image, limits)
            _check_still(image)
            image.load()
            mode = image.mode
            upright = _upright(image)
            picture, transparent = _on_white(upright)
    except ImportProblem:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refusal(f"The image has more than {limits.max_pixels:,} pixels.") from error
    except Exception as error:  # Pillow answers damaged bytes with a dozen kinds of error
        raise _damaged(expected) from error
    return _Decoded(picture, expected, mode, transparent)


def _refusal(sentence: str) -> ImportProblem:
    return ImportProblem(Problem(sentence))


def _damaged(kind: str) -> ImportProblem:
    return _refusal(f"The {kind} image is damaged or cut short. Export or copy it again.")


def _kind(data: bytes) -> str:
    """The format by content; the file's name is not asked."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if not data:
        raise _refusal("The file is empty.")
    raise _refusal(f"This is {_other_kind(data)}. {_USE}")


def _other_kind(data: bytes) -> str:
    for start, kind in _OTHERS:
        if data.startswith(start):
            return kind
    if data[4:8] == b"ftyp":
        return "a HEIC or AVIF image, or a video"
    if b"<svg" in data[:4096].lower():
        return "an SVG drawing"
    return "not an image that can be read"


def _scans(data: bytes) -> int:
    """How often a JPEG goes over its picture: its SOS segments up to the end of the first image (ITU-T T.81, B.1)."""
    position = scans = 0
    while found := _MARKER.search(data, position):
        marker, start = data[found.end() - 1], found.end()
        scans += marker == 0xDA
        if marker == 0xD9 or scans > _MAX_SCANS:
            break
        position = start + int.from_bytes(data[start : start + 2], "big")
    return scans


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if min(width, height) < limits.min_side:
        raise _refusal(f"The image is {width} × {height} pixels; each side needs at least {limits.min_side}.")
    if max(width, height) > limits.max_side:
        raise _refusal(f"The image is {width} × {height} pixels; the limit is {limits.max_side:,} a side.")
    if width * height > limits.max_pixels:
        raise _refusal(f"The image is {width} × {height} pixels; the limit is {limits.max_pixels:,} in all.")


def _check_still(image: Image.Image) -> None:
    # A JPEG with more pictures (MPO) is how phones store a preview or a depth map: the first one is the photograph.
    if image.format in ("PNG", "WEBP") and getattr(image, "n_frames", 1) > 1:
        raise _refusal("The image is animated. Give one still image.")


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        turn = None
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image as RGB in sRGB with transparency laid on white, and whether it had any."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        # The high byte, as Pillow takes it for 16-bit RGB; its own conversion of this mode turns light tones white.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    picture = _to_srgb(image, profile)
    if alpha is None or alpha.getextrema() == (255, 255):
        return picture, False
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=alpha)
    return white, True


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB. Without a colour profile, or with one that does not fit, the numbers are taken as sRGB."""
    if profile:
        try:
            source = ImageCms.getOpenProfile(io.BytesIO(profile))
            space = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(source.profile.xcolor_space.strip())
            named_srgb = "sRGB" in ImageCms.getProfileDescription(source)
            if space and (space == "CMYK") == (image.mode == "CMYK") and not named_srgb:
                target = ImageCms.createProfile("sRGB")
                turned = ImageCms.profileToProfile(image.convert(space), source, target, outputMode="RGB")
                if turned is not None:
                    return turned
        except Exception:  # a damaged profile says nothing about the pixels
            return image.convert("RGB")
    return image.convert("RGB")
