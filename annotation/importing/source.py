"""Where an import is read from: a folder or a zip file, both taken to be hostile.

A source lists its files once and reads them one by one, so that an archive of any size is never held in memory.
Archives are never unpacked: no path of theirs is ever used to write or to open a file.
"""

from __future__ import annotations

import os
import stat
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, BinaryIO

from annotation.importing.limits import DEFAULT_LIMITS, Limits
from annotation.importing.names import folded, is_litter, name_fault, normal
from annotation.importing.problems import ImportProblem, Problem, printable

_CHUNK = 1024 * 1024
_LINK = "This is a symbolic link. Put the file itself in the import."
_NO_FILE = "This is a device, a socket or a pipe, not a file."


def open_source(path: Path, limits: Limits = DEFAULT_LIMITS) -> ImportSource:
    """The folder or zip file at ``path``.

    Raises ImportProblem where it cannot be read at all or breaks a limit on the whole. Single files that are refused
    are listed in ``refused``; a plan makes a problem of each of them.
    """
    try:
        if path.is_dir():
            return FolderSource(path, limits)
        if path.is_file():
            return ZipSource(path, limits)
    except OSError as error:
        raise _problem(path.name, f"It cannot be opened: {error.strerror}.") from error
    except ValueError as error:  # a path with a NUL
        raise _problem(path.name, "This is no path.") from error
    raise _problem(path.name, "There is no such folder or zip file.")


class ImportSource(ABC):
    """Files by name. Names are relative, use ``/`` and are safe; a file whose name or kind is not is in ``refused``."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.label = printable(path.name or str(path))
        self.limits = limits
        self.refused: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._by_fold: dict[str, str] = {}

    def names(self) -> list[str]:
        """All files that can be opened, sorted."""
        return sorted(self._sizes)

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def size(self, name: str) -> int:
        """Bytes of a file as the folder or archive states them; reading counts again."""
        return self._sizes[name]

    def same_but_for_case(self, name: str) -> str | None:
        """The file that ``name`` would be if small and capital letters were the same, for a hint."""
        return self._by_fold.get(folded(name))

    def open(self, name: str, max_bytes: int | None = None) -> bytes:
        """The bytes of one file; ImportProblem where it is missing, damaged or larger than ``max_bytes``."""
        limit = self.limits.max_file_bytes if max_bytes is None else max_bytes
        if name not in self._sizes:
            raise _problem(name, "There is no such file in the import.")
        return self._read(name, limit)

    @abstractmethod
    def _read(self, name: str, limit: int) -> bytes: ...

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> ImportSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _admit(self, raw: str, size: int) -> str | None:
        """The name under which a file is listed, or None where it is refused or left behind by a desktop system."""
        name = normal(raw)
        if fault := name_fault(name, self.limits.max_path):
            self.refused[raw] = fault
            return None
        if is_litter(name):
            return None
        other = self._by_fold.setdefault(folded(name), name)
        if name in self._sizes:
            self.refused[raw] = "The import has this file twice."
            return None
        if other != name:
            self.refused[raw] = f"The import also has {printable(other)}, which is the same name on many systems."
            return None
        self._sizes[name] = size
        return name

    def _check_totals(self, files: int, size: int) -> None:
        if files > self.limits.max_files:
            raise _problem(self.label, f"It holds more than {self.limits.max_files:,} files. Import it in parts.")
        if size > self.limits.max_total_bytes:
            limit = self.limits.max_total_bytes
            raise _problem(self.label, f"Its files are larger than {limit:,} bytes together. Import it in parts.")


class FolderSource(ImportSource):
    """A folder on this machine. Links are refused when it is listed, and never followed when a file is opened."""

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(path, limits)
        self._seen = self._bytes = 0
        self._on_disk: dict[str, str] = {}
        folders = [""]
        while folders:
            folders += self._scan(folders.pop())

    def _scan(self, prefix: str) -> list[str]:
        """List one folder (``prefix`` is empty or ends in ``/``) and return the folders in it."""
        below = []
        try:
            with os.scandir(self.path / prefix) as entries:
                for entry in entries:
                    self._seen += 1
                    if (folder := self._take(prefix + entry.name, entry)) is not None:
                        below.append(folder)
                    self._check_totals(self._seen, self._bytes)
        except OSError as error:
            self.refused[prefix or "."] = f"This folder cannot be read: {error.strerror}."
        return below

    def _take(self, name: str, entry: os.DirEntry[str]) -> str | None:
        """List one entry, or return it with a ``/`` where it is a folder."""
        if is_litter(entry.name):
            return None
        if entry.is_symlink():
            self.refused[name] = _LINK
        elif entry.is_dir(follow_symlinks=False):
            if len(name) < self.limits.max_path:
                return name + "/"
            self.refused[name] = f"The path is longer than {self.limits.max_path} characters."
        elif entry.is_file(follow_symlinks=False):
            size = entry.stat(follow_symlinks=False).st_size
            self._bytes += size
            if (listed := self._admit(name, size)) is not None:
                self._on_disk[listed] = name
        else:
            self.refused[name] = _NO_FILE
        return None

    def _read(self, name: str, limit: int) -> bytes:
        try:
            with _open_below(self.path, self._on_disk[name]) as file:
                return _counted(file, name, limit)
        except OSError as error:
            raise _problem(name, f"The file cannot be read: {error.strerror}.") from error

    def close(self) -> None:
        """Nothing is held open."""


class ZipSource(ImportSource):
    """A zip file. Its one top-level folder, where there is just one, counts as the top."""

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(path, limits)
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self._file = path.open("rb")
        try:
            self._zip = self._directory()
            self._list()
        except BaseException:
            self._file.close()
            raise

    def _directory(self) -> zipfile.ZipFile:
        # A central directory of millions of empty entries would fill the memory before they could be counted.
        if _directory_bytes(self._file) > self.limits.max_files * 256:
            self._check_totals(self.limits.max_files + 1, 0)
        try:
            return zipfile.ZipFile(self._file)
        except Exception as error:  # zipfile answers hostile bytes with a dozen kinds of error
            raise _problem(self.label, "It is not a zip file, or it is damaged.") from error

    def _list(self) -> None:
        infos = self._zip.infolist()
        self._check_totals(len(infos), sum(info.file_size for info in infos))
        if sum(info.compress_size for info in infos) > os.fstat(self._file.fileno()).st_size:
            raise _problem(self.label, "Its entries lie over one another: it is built to fill the disk.")
        for info in infos:
            # orig_filename: what the archive says, before zipfile cuts it at a NUL.
            raw = info.orig_filename
            if fault := self._fault(info):
                self.refused[raw] = fault
            elif not raw.endswith("/") and (name := self._admit(raw, info.file_size)) is not None:
                self._infos[name] = info
        self._drop_top_folder()

    def _fault(self, info: zipfile.ZipInfo) -> str | None:
        if fault := name_fault(normal(info.orig_filename.removesuffix("/")), self.limits.max_path):
            return fault
        kind = stat.S_IFMT(info.external_attr >> 16)
        method = info.compress_type
        faults = (
            (kind == stat.S_IFLNK, _LINK),
            (kind not in (0, stat.S_IFLNK, stat.S_IFREG, stat.S_IFDIR), _NO_FILE),
            # encrypted, strongly encrypted, hidden names (APPNOTE.TXT 4.4.4)
            (info.flag_bits & 0x2041, "This is encrypted. Make the zip without a password."),
            (
                method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
                f"This is packed by method {method}. Make the zip with the usual method (deflate).",
            ),
            (
                info.file_size > self._most(info),
                f"This would unpack to more than {self.limits.max_ratio} times its size, as if made to fill a disk.",
            ),
        )
        return next((sentence for applies, sentence in faults if applies), None)

    def _most(self, info: zipfile.ZipInfo) -> int:
        return max(self.limits.ratio_free_bytes, info.compress_size * self.limits.max_ratio)

    def _drop_top_folder(self) -> None:
        tops = {name.partition("/")[0] if "/" in name else "" for name in self._sizes}
        if len(tops) != 1 or not (top := tops.pop()):
            return
        cut = len(top) + 1
        self._sizes = {name[cut:]: size for name, size in self._sizes.items()}
        self._infos = {name[cut:]: info for name, info in self._infos.items()}
        self._by_fold = {folded(name): name for name in self._sizes}

    def _read(self, name: str, limit: int) -> bytes:
        info = self._infos[name]
        try:
            with self._zip.open(info) as stream:
                # The sizes come from the archive and may lie, so what comes out is counted as it comes. zipfile ends
                # the stream at the size that was checked against the ratio when the archive was listed.
                data = _counted(stream, name, limit)
        except ImportProblem:
            raise
        except Exception as error:  # see _directory
            raise _problem(name, "The file is damaged inside the zip. Make the zip again.") from error
        if len(data) != info.file_size:
            raise _problem(name, "The file is damaged inside the zip. Make the zip again.")
        return data

    def close(self) -> None:
        self._zip.close()
        self._file.close()


def _problem(name: str, sentence: str) -> ImportProblem:
    return ImportProblem(Problem(sentence, file=printable(name)))


def _counted(stream: IO[bytes], name: str, limit: int) -> bytes:
    """All of ``stream``, refused as soon as it passes ``limit`` bytes."""
    pieces, size = [], 0
    while piece := stream.read(_CHUNK):
        size += len(piece)
        if size > limit:
            raise _problem(name, f"The file is larger than the limit of {limit:,} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


def _open_below(root: Path, name: str) -> BinaryIO:
    """Open a regular file without following a link at any step below ``root``, even one put there a moment ago."""
    *folders, last = name.split("/")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            there = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = there
        # O_NONBLOCK: opening a pipe would otherwise wait for a writer.
        file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(0, "it is not a regular file")
    return os.fdopen(file, "rb")


def _directory_bytes(file: BinaryIO) -> int:
    """Size of the central directory as the end record states it, 0 where there is none (APPNOTE.TXT 4.3.14 to 16)."""
    end = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, end - 22 - 0xFFFF - 20))
    tail = file.read()
    # zipfile takes a record without comment that fills the last 22 bytes first, then the last one that it finds.
    last = tail[-22:]
    at = len(tail) - 22 if last[:4] == b"PK\x05\x06" and last[-2:] == b"\0\0" else tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        return 0
    locator = tail[max(0, at - 20) : at]
    if locator[:4] != b"PK\x06\x07":
        return int.from_bytes(tail[at + 12 : at + 16], "little")
    # Zip64. Some versions of Python look before the locator first, others where it points: the larger size counts.
    places = (start + at - 20 - 56, int.from_bytes(locator[8:16], "little"))
    return max(_zip64_directory_bytes(file, place, end) for place in places)


def _zip64_directory_bytes(file: BinaryIO, place: int, end: int) -> int:
    if not 0 <= place <= end - 56:
        return 0
    file.seek(place)
    record = file.read(56)
    return int.from_bytes(record[40:48], "little") if record[:4] == b"PK\x06\x06" else 0
