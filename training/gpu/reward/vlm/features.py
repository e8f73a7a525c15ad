"""What a frozen vision tower made of a picture, kept: it would make the same again in every epoch."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from PIL import Image
from torch import Tensor

MOST_BYTES = 4 * 1024**3


class FeatureCache:
    """Features by a picture's digest, on the CPU, up to ``most`` bytes; the one unused for longest goes first."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most, self.held = most, 0
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Tensor | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: bytes, features: Tensor) -> None:
        value = features.detach().to("cpu", copy=True)
        if key in self._kept or value.nbytes > self.most:
            return
        self._kept[key] = value
        self.held += value.nbytes
        while self.held > self.most:
            self.held -= self._kept.popitem(last=False)[1].nbytes


def digest(picture: Image.Image, preprocessing: str) -> bytes:
    """16 bytes that tell pictures apart by their pixels, and by what is done to them before the tower."""
    told = f"{preprocessing}\0{picture.mode}\0{picture.size}\0"
    return sha256(told.encode() + picture.tobytes()).digest()[:16]
