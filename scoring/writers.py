"""Tables to files: CSV, JSON lines, Parquet. Rows are streamed; the same rows give the same bytes."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

CHUNK = 10_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet runs
NUMBER = re.compile(r"-?[0-9.]+(?:e[+-]?[0-9]+)?")
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in an archive: the day of the export is no part of its content


@dataclass(frozen=True)
class Column:
    """A column of an export. ``type``: text, integer, number or flag. ``about`` says what it is, with its unit."""

    name: str
    type: str
    about: str


Row = Sequence[Any]


def write_csv(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """Empty cells stand for what is missing; flags are true and false. Returns the number of rows."""
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\r\n")  # RFC 4180; with "\n" a "\r" in a cell would not be quoted
        writer.writerow([column.name for column in columns])
        for row in rows:
            writer.writerow([_csv_cell(value) for value in row])
            count += 1
    return count


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    return value


def csv_line(values: Iterable[Any]) -> str:
    """One line of CSV for a table that is streamed. Words that a spreadsheet would run get an apostrophe; figures that
    are text already, such as -0.5, do not."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(
        [value if _is_figure(value) else _csv_cell(value) for value in values]
    )
    return out.getvalue()


def _is_figure(value: Any) -> bool:
    return isinstance(value, str) and NUMBER.fullmatch(value) is not None


def write_jsonl(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """One object a line, keys in the order of the columns."""
    names, count = [column.name for column in columns], 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n")
            count += 1
    return count


def write_parquet(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """Row groups of 10,000, compressed with zstd."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "flag": pa.bool_()}
    schema = pa.schema([(column.name, types[column.type]) for column in columns])
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for chunk in _chunks(rows):
            arrays = [
                pa.array(values, field.type) for values, field in zip(zip(*chunk, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(chunk)
    return count


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while chunk := list(islice(source, CHUNK)):
        yield chunk


WRITERS: dict[str, Callable[[Path, Sequence[Column], Iterable[Row]], int]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def archive(path: Path, files: Sequence[Path]) -> None:
    """A zip of ``files`` whose bytes depend on their names and content alone."""
    part = path.with_name(path.name + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.name, EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as target, file.open("rb") as source:
                while data := source.read(1 << 20):
                    target.write(data)
    part.replace(path)
