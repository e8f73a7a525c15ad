"""Small pictures inside a case's parameters, and the way between Pillow and arrays."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO

import numpy as np
from PIL import Image

from training.gpu.classical_ops.colour import Floats
from training.gpu.classical_ops.params import WrongParams

PREFIX = "data:image/webp;base64,"
MOST_CHARACTERS = 400_000
MOST_SIDE = 1024


def to_array(image: Image.Image) -> Floats:
    return np.asarray(image, np.float32) / np.float32(255)


def to_image(array: Floats) -> Image.Image:
    return Image.fromarray((np.clip(array, 0, 1) * 255 + 0.5).astype(np.uint8))


def encode_picture(image: Image.Image) -> str:
    """A data URI to put into a case's parameters; transparency is kept."""
    buffer = BytesIO()
    image.save(buffer, format="WEBP", quality=88, method=6)
    return PREFIX + base64.b64encode(buffer.getvalue()).decode("ascii")


def decode_picture(uri: object) -> Floats:
    """(h, w, 4) of a data URI that ``encode_picture`` wrote. Raises WrongParams."""
    if not isinstance(uri, str) or not uri.startswith(PREFIX) or len(uri) > MOST_CHARACTERS:
        raise WrongParams("a picture among the parameters must be a WebP data URI of at most 400,000 characters")
    try:
        with Image.open(BytesIO(base64.b64decode(uri[len(PREFIX) :], validate=True)), formats=("WEBP",)) as image:
            if max(image.size) > MOST_SIDE:
                raise WrongParams(f"a picture among the parameters has {image.size} pixels; {MOST_SIDE} a side is most")
            return to_array(image.convert("RGBA"))
    except (OSError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
        raise WrongParams(f"a picture among the parameters cannot be read: {error}") from None
