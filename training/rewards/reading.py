"""Reading others' tables: CSV, JSON, JSON lines and parquet, with file and line in every complaint. Pure.

Nothing in the files is trusted: a name must stay beneath the folder, a number must be one, a table has a limit.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from annotation.importing.limits import DEFAULT_LIMITS
from annotation.importing.names import name_fault, normal, text_fault
from annotation.importing.problems import printable
from annotation.importing.rows import strict_json
from training.rewards.layouts import LayoutError

MIB = 1024 * 1024
MAX_BYTES = 512 * MIB  # of one table; pictures in parquet do not count
MAX_ROWS = 2_000_000
MAX_BLOCK = 1024 * MIB  # of one row group of a parquet file, as it says itself
AT_ONCE = 64  # rows of a parquet file that are held


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its cells by column, and where it stands, in words."""

    cells: Mapping[str, Any]
    where: str

    def wrong(self, sentence: str) -> LayoutError:
        return LayoutError(f"{self.where}: {sentence}")

    def text(self, name: str, default: str | None = None, most: int = DEFAULT_LIMITS.max_instruction) -> str:
        """The cell as text without white space around it. Without a default it must be there."""
        value = self.cells.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            if default is None:
                raise self.wrong(f"{name} is missing. Every row needs it.")
            return default
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise self.wrong(f"{name} must be text.")
        found = str(value).replace("\r\n", "\n").strip()
        if fault := text_fault(found, lines=True):
            raise self.wrong(f"{name}: {fault}")
        if len(found) > most:
            raise self.wrong(f"{name} has {len(found):,} characters; the limit is {most:,}.")
        return found

    def number(self, name: str, low: float, high: float) -> float | None:
        """The cell as a number from ``low`` to ``high``, or None where it is empty."""
        value = self.cells.get(name)
        if value is None or value == "":
            return None
        try:
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not low <= found <= high:  # false for NaN
            raise self.wrong(f"{name} must be a number from {low:g} to {high:g}; it is {printable(str(value), 40)!r}.")
        return found

    def picture(self, folder: Path, name: str) -> Path:
        return self.beneath(folder, self.text(name, most=DEFAULT_LIMITS.max_path))

    def beneath(self, folder: Path, given: str) -> Path:
        """The file of this name beneath the folder, whatever links do."""
        name = normal(given)
        if fault := name_fault(name, DEFAULT_LIMITS.max_path):
            raise self.wrong(f"{printable(name)!r}: {fault}")
        path = folder / name
        try:
            inside = path.resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError):
            inside = False
        if not inside:
            raise self.wrong(f"{printable(name)!r} leads out of the folder. Put the file itself there.")
        if path.is_symlink() or not path.is_file():
            raise self.wrong(f"there is no file {printable(name)!r}.")
        return path


def is_inside(folder: Path, path: Path) -> bool:
    """A file beneath the folder that is no link, nor lies behind one that leads out of it."""
    try:
        return path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def files_of(folder: Path, *endings: str) -> list[Path]:
    """Files beneath the folder with one of the endings, by name; links are passed over."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in endings)
    return sorted(path for path in found if is_inside(folder, path))


def free_key(wanted: str, taken: set[str]) -> str:
    """``wanted``, or with the first number behind it that makes it new; from now on it is ``taken``."""
    key = next(key for number in count(1) if (key := wanted if number == 1 else f"{wanted}-{number}") not in taken)
    taken.add(key)
    return key


def lines_of(folder: Path, path: Path, needed: Collection[str] = ()) -> Iterator[Line]:
    """The rows of a .csv, .jsonl or .json table beneath the folder. Raises LayoutError, also for a link and where a
    column of ``needed`` is missing."""
    if not is_inside(folder, path):
        raise LayoutError(f"{path.name} is a link, or leads out of the folder. Put the file itself there.")
    readers = {".csv": _csv, ".jsonl": _jsonl, ".json": _json}
    if path.stat().st_size > MAX_BYTES:
        raise LayoutError(f"{path.name} is larger than {MAX_BYTES // MIB} MiB. Import it in parts.")
    try:
        for number, line in enumerate(readers[path.suffix.lower()](path), start=1):
            if number > MAX_ROWS:
                raise LayoutError(f"{path.name} has more than {MAX_ROWS:,} rows. Import it in parts.")
            _check_columns(line, needed, path.name)
            yield line
    except UnicodeDecodeError:
        raise LayoutError(f"{path.name} is not UTF-8. Save it as UTF-8.") from None


def _check_columns(line: Line, needed: Collection[str], name: str) -> None:
    missing = [column for column in needed if column not in line.cells]
    if missing:
        there = ", ".join(printable(str(key), 40) for key in list(line.cells)[:20])
        what = "columns" if len(missing) > 1 else "column"
        raise LayoutError(f"{line.where}: the {what} {', '.join(missing)} is missing. There are: {there}.")


def _csv(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                line = Line(row, f"{path.name}, line {reader.line_num}")
                if None in row or None in row.values():
                    raise line.wrong("this row has not as many cells as the first line.")
                yield line
        except csv.Error as error:
            raise LayoutError(f"{path.name}, line {reader.line_num}: the CSV cannot be read: {error}.") from None


def _jsonl(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(file, start=1):
            if text.strip():
                yield object_of(parsed(text, f"{path.name}, line {number}"), f"{path.name}, line {number}")


def _json(path: Path) -> Iterator[Line]:
    rows = parsed(path.read_text(encoding="utf-8-sig"), path.name)
    if not isinstance(rows, list):
        raise LayoutError(f"{path.name} must be a list of objects: [{{…}}, {{…}}].")
    for number, row in enumerate(rows, start=1):
        yield object_of(row, f"{path.name}, entry {number}")


def parsed(text: str, where: str) -> Any:
    try:
        return strict_json(text)
    except ValueError as error:
        raise LayoutError(f"{where}: this cannot be read as JSON: {error}.") from None


def object_of(value: object, where: str) -> Line:
    if not isinstance(value, dict):
        raise LayoutError(f"{where}: this is no JSON object.")
    return Line(value, where)


def settings_of(path: Path) -> dict[str, Any]:
    """A small JSON object beside the tables; empty where there is no such file."""
    if not path.is_file() or path.is_symlink():
        return {}
    if path.stat().st_size > MIB:
        raise LayoutError(f"{path.name} is larger than 1 MiB.")
    try:
        value = parsed(path.read_text(encoding="utf-8-sig"), path.name)
    except UnicodeDecodeError:
        raise LayoutError(f"{path.name} is not UTF-8. Save it as UTF-8.") from None
    if not isinstance(value, dict):
        raise LayoutError(f"{path.name} must be a JSON object.")
    return value


# Parquet -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a picture lies in parquet files: file, row group, row in it, column."""

    file: int
    block: int
    row: int
    column: str


def check_parquet(file: Any, name: str) -> None:
    """Refuse by what the file says of itself, before anything of it is read."""
    if file.metadata.num_rows > MAX_ROWS:
        raise LayoutError(f"{name}: there are more than {MAX_ROWS:,} rows. Import them in parts.")
    for place in range(file.num_row_groups):
        block = file.metadata.row_group(place)
        columns = (block.column(number) for number in range(block.num_columns))
        size = max(block.total_byte_size, sum(column.total_uncompressed_size for column in columns))
        if size > MAX_BLOCK:
            raise LayoutError(
                f"{name}: row group {place + 1} has {size // MIB:,} MiB; the limit is {MAX_BLOCK // MIB:,} MiB. "
                "Save the table with fewer rows in a row group."
            )


class _Cells:
    """One column of one row group, few rows at a time, forwards."""

    def __init__(self, block: tuple[int, int], batches: Iterator[Any]) -> None:
        self.block, self.start = block, 0
        self._batches, self._rows = batches, 0
        self._batch: Any = None

    def cell(self, row: int) -> Any:
        while row >= self.start + self._rows:
            self.start += self._rows
            self._batch = next(self._batches).column(0)
            self._rows = len(self._batch)
        return self._batch[row - self.start].as_py()


class Parquet:
    """Parquet files of one schema: small columns row by row, pictures when they are asked for. Of every column a few
    rows are held, which is quick where pictures are asked for in the order of the rows."""

    def __init__(self, paths: list[Path], columns: Collection[str], pictures: Collection[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.paths, self.columns = paths, list(columns)
        self._held: dict[str, _Cells] = {}
        self._files = []
        for path in paths:
            try:
                file = pq.ParquetFile(path)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise LayoutError(f"{path.name} is no parquet file, or is damaged: {error!s:.120}.") from None
            names = set(file.schema_arrow.names)
            if missing := [name for name in (*columns, *pictures) if name not in names]:
                there = ", ".join(printable(name, 40) for name in sorted(names)[:30])
                raise LayoutError(f"{path.name}: the column {', '.join(missing)} is missing. There are: {there}.")
            check_parquet(file, path.name)
            self._files.append(file)
        if sum(file.metadata.num_rows for file in self._files) > MAX_ROWS:
            raise LayoutError(f"The parquet files have more than {MAX_ROWS:,} rows. Import them in parts.")

    def lines(self) -> Iterator[tuple[Line, int, int, int]]:
        """Each row without its pictures, with its file, block and row in the block."""
        for number, (path, file) in enumerate(zip(self.paths, self._files, strict=True)):
            before = 0
            for block in range(file.num_row_groups):
                row = 0
                for batch in self._batches(number, block, self.columns):
                    for cells in batch.to_pylist():
                        yield Line(cells, f"{path.name}, row {before + row + 1}"), number, block, row
                        row += 1
                before += row

    def _batches(self, number: int, block: int, columns: list[str]) -> Iterator[Any]:
        import pyarrow as pa

        file = self._files[number]
        try:
            yield from file.iter_batches(AT_ONCE, row_groups=[block], columns=columns, use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise LayoutError(f"{self.paths[number].name} is damaged: {error!s:.120}.") from None

    def picture(self, spot: Spot, where: str) -> bytes:
        """The picture's file: bytes, or {"bytes": …} as the datasets library writes it."""
        held = self._held.get(spot.column)
        if held is None or held.block != (spot.file, spot.block) or spot.row < held.start:
            held = _Cells((spot.file, spot.block), self._batches(spot.file, spot.block, [spot.column]))
            self._held[spot.column] = held
        value = held.cell(spot.row)
        found = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(found, bytes) or not found:
            raise LayoutError(f"{where}: {spot.column} holds no picture. Save the table with the pictures inside.")
        if len(found) > DEFAULT_LIMITS.max_file_bytes:
            raise LayoutError(f"{where}: {spot.column} is larger than {DEFAULT_LIMITS.max_file_bytes // MIB} MiB.")
        return found
