"""Images, zips and folders for the tests, good ones and hostile ones."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TASKS = frozenset({"add", "remove", "swap", "color", "background", "bokeh", "relight", "style"})


def pixels(width: int = 24, height: int = 16, seed: int = 0) -> Image.Image:
    """Random colours: nothing about them can be guessed from a header."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(width: int = 24, height: int = 16, seed: int = 0) -> bytes:
    return encode(pixels(width, height, seed))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width: int, height: int, body: bytes, *, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """A PNG by hand: ``body`` is the filtered rows before compression, whatever the header promises."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def jsonl(rows: Iterable[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def case(key: str = "one", **cells: object) -> dict[str, object]:
    row: dict[str, object] = {"key": key, "source": "a.png", "instruction": "Remove the cat.", "task": "remove"}
    return row | cells


def candidate(case_key: str = "one", **cells: object) -> dict[str, object]:
    return {"case": case_key, "editor": "careful", "file": "b.png"} | cells


def folder(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return root


def zip_info(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name  # as it is: the constructor would cut it at a NUL
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def zipped(path: Path, entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for entry, data in entries:
            file.writestr(entry if isinstance(entry, zipfile.ZipInfo) else zip_info(entry), data)
    return path


def patch_directory(path: Path, offset: int, value: bytes) -> None:
    """Overwrite ``value`` at ``offset`` of the first record of the central directory, so that it lies."""
    data = bytearray(path.read_bytes())
    start = data.find(b"PK\x01\x02") + offset
    data[start : start + len(value)] = value
    path.write_bytes(data)
