"""An upload becomes a plain file of bounded size: .gz is unpacked, other archives are refused. Pure."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from annotation.importing.problems import quoted
from scoring.elsewhere.found import Refused

MIB = 1024**2
MOST_UPLOAD = 128 * MIB
MOST_BYTES = 512 * MIB
"""Of the unpacked file: 750,000 ratings take about 30 MiB."""
MOST_FILES = 60
CHUNK = MIB
ARCHIVES = {b"PK\x03\x04": "a zip", b"PK\x05\x06": "a zip", b"7z\xbc\xaf": "a 7-Zip", b"\xfd7zX": "an xz"}
ARCHIVES |= {b"BZh": "a bzip2", b"PAR1": "a Parquet", b"\x28\xb5\x2f\xfd": "a zstd", b"Rar!": "a RAR"}


@dataclass(frozen=True, slots=True)
class Plain:
    """A file as it can be read: the name that it was given, where it lies, and the hash of its unpacked content."""

    name: str
    path: Path
    sha256: str


def unpack(upload: IO[bytes], name: str, path: Path, room: int = MOST_BYTES) -> Plain:
    """Write the content of ``upload`` to ``path``. ``room``: bytes that are left for it, where several files come.

    Raises Refused for another archive and what is too large.
    """
    head = upload.read(6)
    upload.seek(0)
    shown = quoted(name)
    for magic, what in ARCHIVES.items():
        if head.startswith(magic):
            raise Refused([f"{shown} is {what} file. Unpack it, and import the plain file, or pack it with gzip."])
    packed = head.startswith(b"\x1f\x8b")
    digest, size = hashlib.sha256(), 0
    limit = min(room, MOST_BYTES if packed else MOST_UPLOAD)
    try:
        with path.open("wb") as out:
            for chunk in _chunks(gzip.GzipFile(fileobj=upload) if packed else upload):
                size += len(chunk)
                if size > limit:
                    raise Refused([_too_large(shown, packed, alone=room >= MOST_BYTES)])
                digest.update(chunk)
                out.write(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused([f"{shown} is a damaged gzip file: {error}. Pack it again."]) from None
    if not size:
        raise Refused([f"{shown} is empty."])
    plain = name[:-3] if packed and name.lower().endswith(".gz") else name
    return Plain(plain, path, digest.hexdigest())


def _too_large(shown: str, packed: bool, *, alone: bool) -> str:
    if not alone:
        return f"The files unpack to more than {MOST_BYTES // MIB} MiB together. Import them in parts."
    if packed:
        return f"{shown} unpacks to more than {MOST_BYTES // MIB} MiB. Import it in parts."
    return f"{shown} is larger than {MOST_UPLOAD // MIB} MiB. Pack it with gzip, or import it in parts."


def _chunks(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def digest_of(files: list[Plain]) -> str:
    """The hash of the content: of one file its own, of several that of their hashes in order, with the files' names,
    because the names say who judged."""
    if len(files) == 1:
        return files[0].sha256
    lines = sorted(f"{Path(file.name).name} {file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
