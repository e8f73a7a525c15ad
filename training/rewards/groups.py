"""A training set of reward models: groups of candidates, and what people said of them in each dimension. Pure.

The file is JSON lines, gzipped or not: a header, then one group a line. Paths of pictures are relative to the folder
of the file. Pairs are derived when they are needed: a group of 23 has 253 of them in each dimension.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import IO, Any

SCHEMA = 1
TRAIN, DEV, TEST = "train", "dev", "test"
SPLITS = (TRAIN, DEV, TEST)
EDGE = 1e-9  # ranks and scores this close are equal: rounding decides nothing
SHARES = (5, 1, 1)  # of the source images, EditHF-1M section 4.1


class WrongSet(Exception):
    """The file is no training set. The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """``low``, ``high``: the ends of people's scale, which is the scale of the model's scores too."""

    key: str
    label: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Header:
    """``content_hash``: of everything that a model learns from. ``notice``: such as "Demo data." or "Simulation."."""

    name: str
    dimensions: tuple[Dimension, ...]
    content_hash: str = ""
    notice: str = ""
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate. ``editor`` never reaches a model; it is for figures by editor alone."""

    key: str
    image: str
    editor: str = ""


@dataclass(frozen=True, slots=True)
class Labels:
    """What people said in one dimension of the n candidates of a group. Three sources, any of them empty.

    ``ranks``: mean rank of each candidate, 1 is best, equal is a tie; None where it was not ranked.
    ``mos``: mean opinion score of each on the dimension's scale, or None.
    ``pairs``: (first, second, outcome), outcome 1 where the first is better, -1 where the second is, 0 a tie.
    ``excluded``: pairs (first < second) that ranks and MOS contradict: no loss and no figure counts them.
    ``both_bad``: ties (first < second) of which people said that both are bad.
    """

    ranks: tuple[float | None, ...] = ()
    mos: tuple[float | None, ...] = ()
    pairs: tuple[tuple[int, int, int], ...] = ()
    excluded: frozenset[tuple[int, int]] = frozenset()
    both_bad: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Pair:
    """``outcome`` as in Labels.pairs. ``gap`` in 0..1: how far apart the two are, as a share of the widest that the
    group can have: training goes from large gaps to small ones."""

    first: int
    second: int
    outcome: int
    gap: float


@dataclass(frozen=True, slots=True)
class Group:
    """``source_key`` tells equal source images: splits and bootstrap go by it. ``raters``: scores of single people by
    dimension, (rater, candidate, score), where they are known: for the human ceiling, never for a model."""

    key: str
    source: str
    source_key: str
    instruction: str
    task: str
    split: str
    candidates: tuple[Entry, ...]
    labels: Mapping[str, Labels] = field(default_factory=dict)
    raters: Mapping[str, tuple[tuple[str, int, float], ...]] = field(default_factory=dict)


def pairs_of(labels: Labels, scale: float) -> list[Pair]:
    """Every pair that was judged, once, by the closest source: asked as a pair, else ranked, else from the MOS.

    ``scale``: high - low of the dimension. Pairs that were asked have the gap of their ranks or MOS, else 1.
    """
    asked = {(min(i, j), max(i, j)): outcome if i < j else -outcome for i, j, outcome in labels.pairs}
    many = max(len(labels.ranks), len(labels.mos), 1 + max((j for _, j in asked), default=-1))
    found = []
    for i, j in combinations(range(many), 2):
        derived = _by_ranks(labels, i, j) or _by_mos(labels, i, j, scale)
        if (i, j) in labels.excluded or ((i, j) not in asked and derived is None):
            continue
        outcome, gap = derived or (0, 1.0)
        found.append(Pair(i, j, asked.get((i, j), outcome), gap))
    return found


def _by_ranks(labels: Labels, i: int, j: int) -> tuple[int, float] | None:
    if j >= len(labels.ranks) or (a := labels.ranks[i]) is None or (b := labels.ranks[j]) is None:
        return None
    return _sign(b - a), min(abs(b - a) / max(len(labels.ranks) - 1, 1), 1.0)


def _by_mos(labels: Labels, i: int, j: int, scale: float) -> tuple[int, float] | None:
    if j >= len(labels.mos) or (a := labels.mos[i]) is None or (b := labels.mos[j]) is None:
        return None
    return _sign(a - b), min(abs(a - b) / scale, 1.0)


def _sign(value: float) -> int:
    return (value > EDGE) - (value < -EDGE)


def cut_ranks(ranks: Sequence[float | None], whole: int) -> tuple[float | None, ...]:
    """Mean ranks of the candidates that are left of a group of ``whole``, on the scale of the smaller group: order,
    ties and gaps stay what they were."""
    if whole < 2 or len(ranks) >= whole:
        return tuple(ranks)
    factor = (len(ranks) - 1) / (whole - 1)
    return tuple(None if rank is None else 1 + (rank - 1) * factor for rank in ranks)


def reordered(labels: Labels, order: Sequence[int]) -> Labels:
    """Labels of candidates that come in another order: place k gets the candidate that was at ``order[k]``."""
    new = {old: place for place, old in enumerate(order)}
    pairs = [(new[i], new[j], outcome) for i, j, outcome in labels.pairs]

    def both(some: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
        return frozenset((min(new[i], new[j]), max(new[i], new[j])) for i, j in some)

    return Labels(
        ranks=tuple(labels.ranks[place] for place in order) if labels.ranks else (),
        mos=tuple(labels.mos[place] for place in order) if labels.mos else (),
        pairs=tuple(sorted((i, j, outcome) if i < j else (j, i, -outcome) for i, j, outcome in pairs)),
        excluded=both(labels.excluded),
        both_bad=both(labels.both_bad),
    )


# The file ------------------------------------------------------------------------------------------------------------


def to_line(group: Group) -> dict[str, Any]:
    labels = {key: _labels_row(one) for key, one in group.labels.items()}
    row = {**asdict(group), "labels": labels}
    return row if group.raters else {name: value for name, value in row.items() if name != "raters"}


def _labels_row(labels: Labels) -> dict[str, Any]:
    row = {"ranks": labels.ranks, "mos": labels.mos, "pairs": labels.pairs, "excluded": sorted(labels.excluded)}
    row["both_bad"] = sorted(labels.both_bad)
    return {name: value for name, value in row.items() if value}


def from_line(row: Mapping[str, Any]) -> Group:
    """What ``to_line`` gave. Raises KeyError, TypeError and ValueError for anything else."""
    labels = {
        key: Labels(
            ranks=tuple(one.get("ranks", ())),
            mos=tuple(one.get("mos", ())),
            pairs=tuple((int(i), int(j), int(outcome)) for i, j, outcome in one.get("pairs", ())),
            excluded=frozenset((int(i), int(j)) for i, j in one.get("excluded", ())),
            both_bad=frozenset((int(i), int(j)) for i, j in one.get("both_bad", ())),
        )
        for key, one in row["labels"].items()
    }
    candidates = tuple(Entry(**one) for one in row["candidates"])
    raters = {
        key: tuple((str(rater), int(place), float(score)) for rater, place, score in said)
        for key, said in row.get("raters", {}).items()
    }
    return Group(**{**row, "candidates": candidates, "labels": labels, "raters": raters})


def write_set(path: Path, header: Header, groups: Iterable[Group]) -> int:
    """Write the file and return the number of groups. The same set gives the same bytes."""
    count = 0
    with path.open("wb") as raw, _writer(path, raw) as file:
        file.write(_line(asdict(header)))
        for count, group in enumerate(groups, start=1):  # noqa: B007 - the last one is the count
            file.write(_line(to_line(group)))
    return count


def _writer(path: Path, raw: Any) -> Any:
    return gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") if path.suffix == ".gz" else raw


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def read_header(path: Path) -> Header:
    """Raises WrongSet."""
    return next(_read(path))[0]


def read_groups(path: Path) -> Iterator[Group]:
    """Groups in the order of the file. Raises WrongSet, with the line."""
    for _header, group in _read(path):
        if group is not None:
            yield group


def _read(path: Path) -> Iterator[tuple[Header, Group | None]]:
    with path.open("rb") as file:
        yield from parse_groups(file, path.name)


def parse_groups(file: IO[bytes], name: str) -> Iterator[tuple[Header, Group | None]]:
    """Header and groups of an open file, the header first, with no group. ``name`` tells gzip by .gz. Raises WrongSet,
    with the line."""
    number = 0
    try:
        with io.TextIOWrapper(_unpacked(file, name), encoding="utf-8") as text:
            for number, line in enumerate(text, start=1):
                if number == 1:
                    header = _header(json.loads(line))
                    yield header, None
                else:
                    yield header, from_line(json.loads(line))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        where = f"line {number + (number == 0)}"
        raise WrongSet(
            f"{Path(name).name} is no training set ({where}): {type(error).__name__}: {error!s:.200}."
        ) from None
    if number == 0:
        raise WrongSet(f"{Path(name).name} is empty.")


def _unpacked(file: IO[bytes], name: str) -> Any:
    return gzip.GzipFile(fileobj=file) if name.endswith(".gz") else file


def _header(row: Mapping[str, Any]) -> Header:
    if row["schema"] != SCHEMA:
        raise ValueError(f"schema {row['schema']} is not known here, only {SCHEMA}")
    return Header(**{**row, "dimensions": tuple(Dimension(**one) for one in row["dimensions"])})
