"""Groups of a training set from what studies brought: cases with the candidates that have a label, in chunks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from annotation.curation.phash import NEAR, near_groups
from annotation.curation.splits import Piece
from annotation.models import Candidate, Case, Source
from scoring.stats.pairs import Pairs, cross_check
from training.rewards.groups import Dimension, Entry, Group, Labels, cut_ranks, pairs_of
from training.sets.dividing import divide
from training.sets.joining import Joined, Said

CHUNK = 500  # cases read at once


@dataclass
class Gathered:
    """Groups without their part of the split, one pass over the database each time ``groups`` is called.

    ``left_out``: counts by reason, of the last whole pass. ``unhashed``: sources that no perceptual hash could tie to
    those that look alike; None where nothing was to be tied.
    """

    joined: Joined
    left_out: Counter[str] = field(default_factory=Counter)
    unhashed: int | None = None

    def groups(self) -> Iterator[tuple[Group, str]]:
        """Each group, with the split of its case in its data set, in the order of the cases' keys in the database."""
        self.left_out = Counter(self.joined.left_out)
        cases = sorted(self.joined.said)
        for start in range(0, len(cases), CHUNK):
            chunk = cases[start : start + CHUNK]
            candidates = _candidates(chunk)
            rows = Case.objects.filter(pk__in=chunk).select_related("source").order_by("pk")
            for case in rows:
                if group := self._group(case, candidates[case.pk]):
                    yield group, case.split

    def _group(self, case: Case, candidates: list[_Row]) -> Group | None:
        said = self.joined.said[case.pk]
        judged = {pk for one in said.values() for pk in _labelled(one)}
        here = [row for row in candidates if row.pk in judged]
        usable = [row for row in here if row.usable and row.pk not in self.joined.flagged]
        self.left_out["set_aside"] += sum(not row.usable for row in here)
        self.left_out["flagged"] += sum(row.usable for row in here) - len(usable)
        if len(usable) < 2:
            self.left_out["alone"] += 1
            return None
        labels = {}
        for one in self.joined.dimensions:
            if one.key in said and (found := labels_of(said[one.key], [row.pk for row in usable], one)):
                labels[one.key] = found
        if not labels:
            self.left_out["alone"] += 1
            return None
        sha = case.source.sha256
        entries = tuple(Entry(row.uid, row.image, row.editor) for row in usable)
        return Group(str(case.uid), sha, sha, case.instruction, str(case.task_id), "", entries, labels)


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    """A candidate, in an order that does not depend on the database."""

    image: str
    editor: str
    seed: int
    pk: int
    uid: str
    usable: bool


def _candidates(cases: Sequence[int]) -> dict[int, list[_Row]]:
    found: dict[int, list[_Row]] = defaultdict(list)
    rows = Candidate.objects.filter(case__in=cases).order_by()
    names = ("case", "image__sha256", "editor__slug", "seed", "pk", "uid", "fault", "fault_kept")
    for case, image, editor, seed, pk, uid, fault, kept in rows.values_list(*names):
        found[case].append(_Row(image, editor, seed, pk, str(uid), not fault or kept is True))
    return defaultdict(list, {case: sorted(some) for case, some in found.items()})


def _labelled(said: Said) -> set[int]:
    return {*said.ranks, *said.mos, *(pk for pair in said.pairs for pk in pair)}


def labels_of(said: Said, candidates: Sequence[int], dimension: Dimension) -> Labels | None:
    """Labels by place in ``candidates``, with the pairs that ranks or verdicts and MOS contradict; None for nothing."""
    place = {pk: number for number, pk in enumerate(candidates)}
    ranks: tuple[float | None, ...] = ()
    if said.ranks.keys() & place.keys():
        missing = len(said.ranks.keys() - place.keys())
        ranks = cut_ranks([said.ranks.get(pk) for pk in candidates], len(candidates) + missing)
    mos = tuple(said.mos.get(pk) for pk in candidates) if said.mos.keys() & place.keys() else ()
    both = sorted((pair, outcome) for pair, outcome in said.pairs.items() if {*pair} <= place.keys())
    pairs = [(place[a], place[b], outcome) for (a, b), outcome in both]
    turned = tuple(sorted((i, j, outcome) if i < j else (j, i, -outcome) for i, j, outcome in pairs))
    if not (ranks or mos or turned):
        return None
    bad = [(place[a], place[b]) for a, b in said.both_bad if {a, b} <= place.keys()]
    labels = Labels(ranks, mos, turned, both_bad=frozenset((min(pair), max(pair)) for pair in bad))
    if not mos or not (ranks or turned):
        return labels
    low, high = ([one.get(pk, np.nan) for pk in candidates] for one in (said.low, said.high))
    excluded = contradictions(labels, low, high, dimension.high - dimension.low)
    return replace(labels, excluded=excluded)


def contradictions(
    labels: Labels, low: Sequence[float], high: Sequence[float], scale: float
) -> frozenset[tuple[int, int]]:
    """Pairs whose order the opinion scores contradict with intervals that do not overlap (scoring.stats.pairs)."""
    decided = [pair for pair in pairs_of(labels, scale) if pair.outcome]
    better = np.array([p.first if p.outcome > 0 else p.second for p in decided], dtype=np.int64)
    worse = np.array([p.second if p.outcome > 0 else p.first for p in decided], dtype=np.int64)
    mos = np.array([np.nan if value is None else value for value in labels.mos], dtype=np.float64)
    gaps = np.array([p.gap for p in decided], dtype=np.float64)
    found = cross_check(Pairs(better, worse, gaps), mos, np.array(low, dtype=float), np.array(high, dtype=float))
    return frozenset((decided[k].first, decided[k].second) for k in np.flatnonzero(found.inconsistent))


# Splits --------------------------------------------------------------------------------------------------------------


def splits_of(gathered: Gathered, seed: int, near: bool) -> dict[str, str]:
    """The part of every source image of the groups. One pass."""
    pieces = [(Piece(group.source_key, group.task), split) for group, split in gathered.groups()]
    if not near:
        return divide(pieces, seed)
    sources = {piece.source for piece, _split in pieces}
    hashes = hashes_of(sources)
    gathered.unhashed = len(sources) - len(hashes)
    return divide(pieces, seed, look_alikes(hashes))


def hashes_of(sources: set[str]) -> dict[str, str]:
    """Perceptual hashes of the sources, as far as they were computed."""
    hashes: dict[str, str] = {}
    ordered = sorted(sources)
    for start in range(0, len(ordered), CHUNK):
        rows = Source.objects.filter(image__sha256__in=ordered[start : start + CHUNK]).exclude(phash="")
        hashes |= dict(rows.values_list("image__sha256", "phash"))
    return hashes


def look_alikes(hashes: Mapping[str, str]) -> list[list[str]]:
    """Sources that look the same."""
    names = sorted(hashes)
    return [[names[place] for place in group] for group in near_groups([hashes[name] for name in names], NEAR)]


def with_splits(groups: Iterator[tuple[Group, str]], splits: Mapping[str, str]) -> Iterator[Group]:
    for group, _split in groups:
        if part := splits.get(group.source_key):
            yield placed(group, part)


def placed(group: Group, split: str) -> Group:
    values: dict[str, Any] = {name: getattr(group, name) for name in Group.__slots__}
    return Group(**{**values, "split": split})
