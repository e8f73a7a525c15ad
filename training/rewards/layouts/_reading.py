"""What the layouts of benchmarks share beyond training/rewards/reading.py: tables, makers, labels that are text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from annotation.importing.problems import quoted
from training.rewards.groups import Labels
from training.rewards.layouts import LayoutError, Made, Picture
from training.rewards.reading import MAX_BYTES, MIB, Line, check_parquet, is_inside, lines_of, object_of, parsed

BATCH = 8  # rows with pictures inside that are held at once


def found(folder: Path, pattern: str) -> list[Path]:
    """Files beneath the folder that fit, by name; links are passed over."""
    return sorted(path for path in folder.glob(pattern) if is_inside(folder, path))


def first_of(folder: Path, *patterns: str) -> Path:
    """The first file that fits one of the patterns, tried in order. Raises LayoutError that names them."""
    every = [path for pattern in patterns for path in found(folder, pattern)[:1]]
    if not every:
        raise LayoutError(f"The folder holds none of the files of this layout: {' or '.join(patterns)}.")
    return every[0]


def text_of(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise LayoutError(f"{path.name} is larger than {MAX_BYTES // MIB} MiB.")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise LayoutError(f"{path.name} is not UTF-8. Save it as UTF-8.") from None


def json_lines(path: Path) -> Iterator[Line]:
    """Objects of a .json file that is a list, or JSON lines in spite of its name."""
    if text_of(path)[:100].lstrip().startswith("["):
        yield from lines_of(path.parent, path)  # ``found`` has looked where it lies
        return
    for number, text in enumerate(text_of(path).split("\n"), start=1):
        if text.strip():
            where = f"{path.name}, line {number}"
            yield object_of(parsed(text, where), where)


def pair_of(line: Line, name: str) -> tuple[Any, Any]:
    value = line.cells.get(name)
    if not isinstance(value, list) or len(value) != 2:
        raise line.wrong(f"{name} must be a list of two.")
    return value[0], value[1]


def given(value: float | None, line: Line, name: str) -> float:
    """A number that must be there."""
    if value is None:
        raise line.wrong(f"{name} is missing. Every row needs it.")
    return value


# Tables --------------------------------------------------------------------------------------------------------------


def table_lines(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[Line]:
    """Rows of Parquet or Arrow stream files with these columns, few at a time: pictures lie inside."""
    for path in paths:
        number = 0
        try:
            for batch in _batches(path, columns):
                for row in batch.to_pylist():
                    number += 1
                    yield Line(row, f"{path.name}, row {number}")
        except (pyarrow.ArrowException, OSError) as error:
            raise LayoutError(f"{path.name} is no such table, or is damaged: {error!s:.120}.") from None


def _batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    if path.suffix == ".parquet":
        file = pyarrow.parquet.ParquetFile(path)
        _check(path, columns, file.schema_arrow.names)
        check_parquet(file, path.name)
        yield from file.iter_batches(batch_size=BATCH, columns=list(columns))
        return
    with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as stream:
        _check(path, columns, stream.schema.names)
        for batch in stream:
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH).select(list(columns))


def _check(path: Path, columns: Sequence[str], there: Sequence[str]) -> None:
    if missing := sorted(set(columns) - set(there)):
        raise LayoutError(f"{path.name}: the column {', '.join(missing)} is missing. There are: {', '.join(there)}.")


def picture(line: Line, cell: object, folder: Path) -> Picture:
    """A picture as such tables hold it: {"bytes", "path"}, bytes, or a name beneath the folder."""
    inside = cell.get("bytes") or cell.get("path") if isinstance(cell, dict) else cell
    if isinstance(inside, bytes) and inside:
        return inside
    if isinstance(inside, str) and inside:
        return line.beneath(folder, inside)
    raise line.wrong("a picture is missing.")


# Makers and labels ---------------------------------------------------------------------------------------------------


def made(models: Sequence[object], pictures: Sequence[Picture]) -> tuple[Made, ...]:
    """Candidates with their makers' short names; without one, the place of the candidate. Two of one maker differ by
    seed."""
    names = [short_name(model) or f"candidate-{place + 1}" for place, model in enumerate(models)]
    return tuple(
        Made(name, one, names[:place].count(name))
        for place, (name, one) in enumerate(zip(names, pictures, strict=True))
    )


def short_name(model: object) -> str:
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:60] if isinstance(model, str) else ""


ORDER = re.compile(r"[A-Z](?:[<>=][A-Z])*")
BAD, GOOD = "BAD", "GOOD"


def order_of(label: str, letters: str, line: Line) -> Labels:
    """Ranks from "A>B", "B<A", "A=B", "A=B=Good", "A=B=Bad", "C>A=B>D": every letter once, or LayoutError.

    Read as a whole by its signs, never by where a letter stands: "A=B" is a tie. "Good" and "Bad" say of a tie of all
    candidates how good they are.
    """
    signs, both_bad = _without_verdict(label.upper().replace(" ", ""))
    if not ORDER.fullmatch(signs) or sorted(signs[::2]) != sorted(letters) or {"<", ">"} <= set(signs):
        raise line.wrong(f"{quoted(label)} is no order of {', '.join(letters)}, such as “A>B” or “A=B”.")
    steps = [[signs[0]]]
    for sign, letter in zip(signs[1::2], signs[2::2], strict=True):
        if sign == "=":
            steps[-1].append(letter)
        else:
            steps.append([letter])
    places: dict[str, float] = {}
    for step in reversed(steps) if "<" in signs else steps:
        places |= dict.fromkeys(step, len(places) + (len(step) + 1) / 2)
    every = frozenset((i, j) for j in range(len(letters)) for i in range(j))
    return Labels(ranks=tuple(places[letter] for letter in letters), both_bad=every if both_bad else frozenset())


def _without_verdict(label: str) -> tuple[str, bool]:
    """Only a tie of all has a verdict: of "A>B=BAD" nothing is taken away, so that it is refused."""
    for word in (GOOD, BAD):
        if label.endswith(f"={word}") and not {"<", ">"} & set(label):
            return label.removesuffix(f"={word}"), word == BAD
    return label, False
