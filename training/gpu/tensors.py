"""The header of a safetensors file, read without torch: names, shapes and metadata. Nothing of the file is run.

The format: eight bytes, little-endian, the header's length; the header, JSON; the numbers, of which the header tells
each tensor's place (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

MOST_HEADER = 100 * 1024**2
METADATA = "__metadata__"


class WrongTensors(Exception):
    """The file is no safetensors file, or a damaged one. The message completes "... is not readable: "."""


@dataclass(frozen=True, slots=True)
class Tensor:
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_header(file: Path) -> Header:
    """Raises WrongTensors also where the file is shorter or longer than its header says."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = _length(opened.read(8), size)
            value = json.loads(opened.read(length))
    except (OSError, ValueError, RecursionError) as error:
        raise WrongTensors(str(error)) from None
    if not isinstance(value, dict):
        raise WrongTensors("its header is no object")
    metadata = value.pop(METADATA, {})
    if not isinstance(metadata, dict):
        raise WrongTensors("its metadata is no object")
    found = {str(name): _tensor(name, told) for name, told in value.items()}
    end = max((told["data_offsets"][1] for told in value.values()), default=0)
    if 8 + length + end != size:
        raise WrongTensors(f"it should have {8 + length + end} bytes and has {size}: it was cut off or changed")
    return Header(found, {str(name): str(words) for name, words in metadata.items()})


def _length(start: bytes, size: int) -> int:
    if len(start) < 8:
        raise WrongTensors("it is too short")
    length: int = struct.unpack("<Q", start)[0]
    if length > min(MOST_HEADER, size - 8):
        raise WrongTensors("it does not begin as one")
    return length


def _tensor(name: str, told: Any) -> Tensor:
    whole = isinstance(told, dict) and all(
        isinstance(told.get(key), list) and all(type(number) is int and number >= 0 for number in told[key])
        for key in ("shape", "data_offsets")
    )
    if not whole or len(told["data_offsets"]) != 2:
        raise WrongTensors(f"its tensor {name!r:.100} has no shape or place")
    return Tensor(tuple(told["shape"]))


def lora_rank(file: Path) -> int:
    """The largest rank of a LoRA: the smaller side of its matrices. 0 for a file that cannot be read."""
    try:
        shapes = [tensor.shape for tensor in read_header(file).tensors.values()]
    except WrongTensors:
        return 0
    return max((min(shape[:2]) for shape in shapes if len(shape) >= 2), default=0)
