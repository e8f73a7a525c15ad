"""Judgements as Parquet files, and as the tables that scoring/stats computes on. Pure.

Parquet keeps texts once and their codes for the rows: 750,000 ratings take 2 to 4 MB, and nothing in it is run when it
is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.elsewhere.found import KEYS, RANKINGS, RATINGS, VALUES, Column, Found
from scoring.stats.grouped import Codes, Floats
from scoring.stats.table import Rankings, Ratings


@dataclass(frozen=True, slots=True)
class Judgements:
    """The stored rows of a set: columns of texts as codes, and the scores or ranks (None for votes)."""

    kind: str
    columns: dict[str, Column]
    values: Floats | None

    @property
    def rows(self) -> int:
        return int(self.columns["annotator"].codes.size)

    def ratings(self) -> Ratings:
        assert self.kind == RATINGS and self.values is not None
        annotator, item, dimension = (self.columns[name] for name in KEYS[RATINGS])
        return Ratings(
            annotator.codes, item.codes, dimension.codes, self.values, annotator.names, item.names, dimension.names
        )

    def rankings(self) -> Rankings:
        assert self.kind == RANKINGS and self.values is not None
        annotator, group, dimension, candidate = (self.columns[name] for name in KEYS[RANKINGS])
        return Rankings(
            annotator=annotator.codes,
            group=group.codes,
            dimension=dimension.codes,
            candidate=candidate.codes,
            rank=self.values,
            annotators=annotator.names,
            groups=group.names,
            dimensions=dimension.names,
            candidates=candidate.names,
        )

    def of(self, owner: str, name: str) -> Codes | None:
        """Per code of ``owner`` (item) the code of its ``name`` (editor); None without such a column."""
        if name not in self.columns:
            return None
        found = np.full(len(self.columns[owner]), -1, dtype=np.int64)
        found[self.columns[owner].codes] = self.columns[name].codes
        return found


def write_rows(found: Found, path: Path) -> None:
    arrays = {name: pa.DictionaryArray.from_arrays(one.codes, one.names) for name, one in found.columns.items()}
    if found.values is not None:
        arrays[VALUES[found.kind]] = pa.array(found.values, pa.float64())
    pq.write_table(pa.table(arrays), path, compression="zstd")


def read_rows(kind: str, file: IO[bytes]) -> Judgements:
    table = pq.read_table(pa.PythonFile(file, mode="r"))
    value = VALUES.get(kind)
    values = table[value].to_numpy() if value else None
    return Judgements(kind, {name: _column(table[name]) for name in table.column_names if name != value}, values)


def _column(chunks: Any) -> Column:
    whole = chunks.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0)
    return Column(whole.indices.to_numpy(zero_copy_only=False), whole.dictionary)


def write_scores(columns: dict[str, Any], path: Path) -> None:
    """A table of scores: numbers, where NaN is no figure, and texts."""
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=10_000)


def read_scores(file: IO[bytes], start: int, count: int) -> tuple[list[dict[str, Any]], int]:
    """Rows ``start`` to ``start + count`` of a table of scores, and how many there are. Other parts are not read."""
    source = pq.ParquetFile(pa.PythonFile(file, mode="r"))
    total, first, rows = int(source.metadata.num_rows), 0, []
    for number in range(source.num_row_groups):
        size = source.metadata.row_group(number).num_rows
        if first + size > start and first < start + count:
            part = source.read_row_group(number).slice(max(0, start - first), start + count - max(start, first))
            rows += part.to_pylist()
        first += size
    return rows, total
