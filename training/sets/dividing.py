"""Splits of a training set: 5 to 1 to 1 by source image, and what was held out before stays held out. Pure.

A source image with a case of the splits "test" or "bench" is in the test part, one with a case of "dev" in the
development part (test goes before dev), and so is every image that looks like it. The others are dealt, so that the
whole comes as near to 5 : 1 : 1 as it can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from annotation.curation.splits import Piece, split_sources
from training.rewards.groups import DEV, SHARES, SPLITS, TEST, TRAIN

HELD_OUT = {"bench": TEST, "test": TEST, "dev": DEV}


def divide(pieces: Sequence[tuple[Piece, str]], seed: int, look_alikes: Iterable[Iterable[str]] = ()) -> dict[str, str]:
    """The part (train, dev, test) of every source image. ``pieces``: each case, and its split in its data set."""
    groups = [list(group) for group in look_alikes]
    fixed = _fixed(pieces, groups)
    free = [piece for piece, _split in pieces if piece.source not in fixed]
    if not free:
        return fixed
    tied = [[source for source in group if source not in fixed] for group in groups]
    have = Counter(fixed[piece.source] for piece, _split in pieces if piece.source in fixed)
    return {**fixed, **split_sources(free, _parts(len(pieces), have), seed, tied)}


def _fixed(pieces: Iterable[tuple[Piece, str]], groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """The sources whose part is known already."""
    found: dict[str, str] = {}
    for piece, split in pieces:
        if split in HELD_OUT:
            found[piece.source] = strictest([found.get(piece.source, ""), HELD_OUT[split]])
    for group in groups:
        if part := strictest(found.get(source, "") for source in group):
            found |= dict.fromkeys(group, part)
    return found


def strictest(parts: Iterable[str]) -> str:
    """The most held out of some parts; empty for none."""
    there = set(parts)
    return next((part for part in (TEST, DEV, TRAIN) if part in there), "")


def _parts(total: int, have: Mapping[str, int]) -> dict[str, float]:
    """What part of the free cases goes where, so that the whole has its shares."""
    wanted = {split: total * share / sum(SHARES) for split, share in zip(SPLITS, SHARES, strict=True)}
    missing = {split: max(0.0, wanted[split] - have.get(split, 0)) for split in SPLITS}
    return {split: part / sum(missing.values()) for split, part in missing.items()}
