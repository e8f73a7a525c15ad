"""A zip that is written as it goes: nothing is held in memory, and the same entries are the same bytes."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

EPOCH = (1980, 1, 1, 0, 0, 0)  # of every entry: the day of the export is no part of its content
BLOCK = 1 << 20


class Archive:
    """Entries go to a part file, which gets the archive's name when everything is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(path.name + ".part")

    def __enter__(self) -> "Archive":
        self._zip = zipfile.ZipFile(self._part, "w")
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _at: TracebackType | None) -> None:
        self._zip.close()
        if error is None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)

    @contextmanager
    def entry(self, name: str, compress: bool = True) -> Iterator[IO[bytes]]:
        """A file of the archive, to write to. One at a time."""
        info = zipfile.ZipInfo(name, EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        info.external_attr = 0o644 << 16
        with self._zip.open(info, "w", force_zip64=True) as file:
            yield file

    def text(self, name: str, text: str) -> None:
        with self.entry(name) as file:
            file.write(text.encode())

    def image(self, name: str, data: bytes) -> None:
        """Images are compressed already."""
        with self.entry(name, compress=False) as file:
            file.write(data)

    def move_in(self, name: str, path: Path) -> None:
        """Take a compressed file into the archive and delete it."""
        with self.entry(name, compress=False) as file, path.open("rb") as source:
            while block := source.read(BLOCK):
                file.write(block)
        path.unlink()


def json_line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
