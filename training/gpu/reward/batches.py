"""A training set on disk as batches: pictures are read and prepared once, each draw depends on seed and number alone.

Micro-batch m is the same whichever were drawn before it: a stopped run goes on bit for bit, and several processes, of
which process r of w takes every w-th, see together what one alone would.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from training.gpu.editors import CannotEdit
from training.gpu.reading import read_picture
from training.gpu.reward.network import Backbone, Example, Prepared
from training.gpu.reward.objective import Targets
from training.rewards.config import Config, Stage
from training.rewards.groups import (
    Dimension,
    Group,
    Header,
    Labels,
    Pair,
    WrongSet,
    cut_ranks,
    pairs_of,
    read_groups,
    read_header,
)
from webapp.jobs.folder import JobError

CACHE_BYTES = 2 * 1024**3  # of prepared examples; those that are over it are prepared again each time
CHUNK_BATCHES = 8  # groups of so many batches are sorted by length, so that those of a batch are alike
FIRST_SHARE = 0.2  # of the pairs, with which a stage with large gaps first begins


@dataclass(frozen=True)
class TrainingSet:
    """A set read from ``folder``; pictures are beneath it."""

    folder: Path
    header: Header
    groups: tuple[Group, ...]

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return self.header.dimensions

    def split(self, name: str) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.split == name)


def read_set(path: Path) -> TrainingSet:
    """Raises JobError for a file that is no set, and for pictures that are missing or lie outside its folder."""
    try:
        found = TrainingSet(path.parent, read_header(path), tuple(read_groups(path)))
    except WrongSet as error:
        raise JobError(str(error)) from None
    except OSError as error:
        raise JobError(f"The training set {path.name} cannot be read: {error.strerror or error}.") from None
    for group in found.groups:
        for name, image in [
            ("source", group.source),
            *((f"candidate {one.key}", one.image) for one in group.candidates),
        ]:
            file = (found.folder / image).resolve()
            if not file.is_relative_to(found.folder.resolve()):
                raise JobError(f"The {name} of group {group.key} lies outside the training set's folder: {image}.")
            if not file.is_file():
                raise JobError(f"The {name} of group {group.key} is missing: {image}. Make the training set again.")
    return found


class Reader:
    """Prepared groups, kept in memory as far as ``CACHE_BYTES`` goes, of which ``held`` are used. What is drawn of a
    large group hardly comes again, so it is not kept."""

    def __init__(self, data: TrainingSet, backbone: Backbone) -> None:
        self.folder, self.dimensions, self.backbone = data.folder, data.dimensions, backbone
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._whole = {group.key: len(group.candidates) for group in data.groups}
        self.held = 0

    def prepared(self, group: Group) -> Prepared:
        """Raises JobError for a picture or an instruction that the backbone cannot take."""
        key = "/".join((group.key, *(one.key for one in group.candidates)))
        if key in self._kept:
            return self._kept[key]
        try:
            found = self.backbone.prepare(self._example(group))
        except CannotEdit as error:
            raise JobError(f"Group {group.key} cannot be learned from: {error}") from None
        size = sum(value.nbytes for value in found.tensors.values())
        if len(group.candidates) == self._whole[group.key] and self.held + size <= CACHE_BYTES:
            self._kept[key], self.held = found, self.held + size
        return found

    def batch(self, groups: Sequence[Group]) -> Any:
        return self.backbone.collate([self.prepared(group) for group in groups])

    def _example(self, group: Group) -> Example:
        source = read_picture(self.folder / group.source, "source")
        images = tuple(read_picture(self.folder / one.image, f"candidate {one.key}") for one in group.candidates)
        return Example(group.key, group.instruction, source, images)


class Plan:
    """Which groups each micro-batch holds. ``lengths``: what each costs, if not its number of candidates."""

    def __init__(self, groups: Sequence[Group], config: Config, lengths: Sequence[float] | None = None) -> None:
        self.groups, self.config = groups, config
        self.lengths = np.array([len(group.candidates) for group in groups] if lengths is None else lengths)
        self.per_epoch = -(-len(groups) // config.batch)

    def micro_batch(self, number: int) -> list[Group]:
        """Groups of micro-batch ``number`` of the whole run, each with ``most_candidates`` at most."""
        epoch, place = divmod(number, self.per_epoch)
        return [self._thinned(self.groups[index], number) for index in self._order(epoch)[place]]

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        """The epoch's batches: a permutation, sorted by length within chunks, and the batches shuffled again."""
        rng, size = np.random.default_rng((self.config.seed, epoch)), self.config.batch
        order, chunk = rng.permutation(len(self.groups)), size * CHUNK_BATCHES
        chunks = [order[start : start + chunk] for start in range(0, len(order), chunk)]
        order = np.concatenate([one[np.argsort(self.lengths[one], kind="stable")] for one in chunks])
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        return [batches[index] for index in rng.permutation(len(batches))]

    def _thinned(self, group: Group, number: int) -> Group:
        count, most = len(group.candidates), self.config.most_candidates
        if count <= most:
            return group
        rng = np.random.default_rng((self.config.seed, number, count, 1))
        return thinned(group, sorted(rng.choice(count, most, replace=False).tolist()))


def lengths_of(folder: Path, groups: Sequence[Group], config: Config) -> list[float]:
    """What a pass over each group costs, about: the area of its pictures as the model sees them. Words are few beside
    them. Of files headers alone are read; one that is no picture counts as nothing here."""

    @cache
    def area(image: str) -> float:
        try:
            with Image.open(folder / image) as opened:
                width, height = opened.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return 0.0
        return width * height * min(1.0, config.max_side / max(width, height)) ** 2

    found = []
    for group in groups:
        areas = [area(group.source), *(area(one.image) for one in group.candidates)]
        found.append(sum(areas) / len(areas) * (1 + min(len(group.candidates), config.most_candidates)))
    return found


def thinned(group: Group, chosen: Sequence[int]) -> Group:
    """The group with those candidates alone, in that order; a pair's gap stays as it is."""
    place = {old: new for new, old in enumerate(chosen)}
    labels = {key: _thinned_labels(one, chosen, place) for key, one in group.labels.items()}
    return replace(group, candidates=tuple(group.candidates[index] for index in chosen), labels=labels)


def _thinned_labels(labels: Labels, chosen: Sequence[int], place: Mapping[int, int]) -> Labels:
    pairs = tuple((place[i], place[j], outcome) for i, j, outcome in labels.pairs if i in place and j in place)
    return Labels(
        ranks=cut_ranks([labels.ranks[index] for index in chosen], len(labels.ranks)) if labels.ranks else (),
        mos=tuple(labels.mos[index] for index in chosen) if labels.mos else (),
        pairs=pairs,
        excluded=frozenset((place[i], place[j]) for i, j in labels.excluded if i in place and j in place),
    )


# Labels as tensors ---------------------------------------------------------------------------------------------------


def targets_of(
    groups: Sequence[Group], dimensions: Sequence[Dimension], smallest: Mapping[str, float] | None = None
) -> Targets:
    """What people said of the groups' candidates. ``smallest``: pairs with a gap below that of their dimension are
    left out."""
    rows: list[tuple[int, int, int]] = []
    cells: list[tuple[int, int, Pair]] = []
    start = 0
    for number, group in enumerate(groups):
        place: dict[tuple[int, int], int] = {}
        for column, dimension in enumerate(dimensions):
            for pair in judged_pairs(group, dimension):
                if pair.gap >= (smallest or {}).get(dimension.key, 0.0):
                    row = place.setdefault((pair.first, pair.second), len(rows))
                    if row == len(rows):
                        rows.append((start + pair.first, start + pair.second, number))
                    cells.append((row, column, pair))
        start += len(group.candidates)
    shape = (len(rows), len(dimensions))
    outcome, known, gap = np.zeros(shape, np.int64), np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
    for row, column, pair in cells:
        outcome[row, column], known[row, column], gap[row, column] = pair.outcome, True, pair.gap
    first, second, owner = (np.array(column, np.int64) for column in zip(*rows, strict=True)) if rows else _NOTHING
    counts = [len(group.candidates) for group in groups]
    arrays = (np.repeat(np.arange(len(groups)), counts), first, second, owner, outcome, known, gap)
    return Targets(*(*map(torch.from_numpy, arrays), *_scores(groups, dimensions)))


_NOTHING = (np.zeros(0, np.int64),) * 3


def judged_pairs(group: Group, dimension: Dimension) -> list[Pair]:
    labels = group.labels.get(dimension.key)
    return pairs_of(labels, dimension.high - dimension.low) if labels else []


def _scores(groups: Sequence[Group], dimensions: Sequence[Dimension]) -> tuple[torch.Tensor, torch.Tensor]:
    """MOS and ranks, both (candidates, dimensions); where nobody ranked, the order of the MOS."""
    mos, ranks = [], []
    for group in groups:
        nothing = (None,) * len(group.candidates)
        found = [group.labels.get(one.key, Labels()) for one in dimensions]
        mos.append(_columns([one.mos or nothing for one in found]))
        ranks.append(_columns([one.ranks or one.mos or nothing for one in found]))
        ranks[-1] *= np.where([bool(one.ranks) for one in found], 1, -1)
    return torch.from_numpy(np.concatenate(mos)), torch.from_numpy(np.concatenate(ranks))


def _columns(values: Sequence[Sequence[float | None]]) -> NDArray[np.float32]:
    return np.array([[np.nan if one is None else one for one in column] for column in values], np.float32).T.copy()


# Large gaps first ----------------------------------------------------------------------------------------------------


class Gaps:
    """The gaps of all pairs of the training part, by dimension: which come in when (EditHF-1M, section 4.2)."""

    def __init__(self, groups: Sequence[Group], dimensions: Sequence[Dimension]) -> None:
        self.sorted = {
            one.key: np.sort([pair.gap for group in groups for pair in judged_pairs(group, one)]) for one in dimensions
        }

    def smallest(self, stage: Stage, progress: float) -> dict[str, float]:
        """The smallest gap by dimension that counts at ``progress`` (0..1) of the stage."""
        share = FIRST_SHARE + (1 - FIRST_SHARE) * progress
        if not stage.large_gaps_first or share >= 1:
            return {}
        return {key: float(gaps[int((1 - share) * len(gaps))]) for key, gaps in self.sorted.items() if len(gaps)}


def in_batches(groups: Sequence[Group], config: Config) -> Iterator[list[Group]]:
    """For looks at held-out groups: in order, so that predictions are in order. Large groups are not thinned here, so
    fewer go together: a transformer's mask grows with the square of the longest."""
    batch: list[Group] = []
    longest, most = 0, config.batch * config.most_candidates**2
    for group in groups:
        longest = max(longest, len(group.candidates))
        if batch and (len(batch) == config.batch or (len(batch) + 1) * longest**2 > most):
            yield batch
            batch, longest = [], len(group.candidates)
        batch.append(group)
    if batch:
        yield batch
