"""Splits of a training set: 5 to 1 to 1 by source image, and what was held out before stays held out. Pure.

A source image with a case of the splits "test" or "bench" is in the test part, one with a case of "dev" in the
development part (test goes before dev), and so is every image that looks like it. The others have the part that a hash
of the image's key and the seed says, so that a test image of one set is no training image of the next one with that
seed: only as far as the share that is held out already differs, the borders between the parts move. Images that look
alike go by the first of their keys.

A set so small that a part would be empty gives it the images whose hash comes nearest, as far as there are enough.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

from annotation.curation.splits import Piece
from training.rewards.groups import DEV, SHARES, SPLITS, TEST, TRAIN

HELD_OUT = {"bench": TEST, "test": TEST, "dev": DEV}


def divide(pieces: Sequence[tuple[Piece, str]], seed: int, look_alikes: Iterable[Iterable[str]] = ()) -> dict[str, str]:
    """The part (train, dev, test) of every source image. ``pieces``: each case, and its split in its data set."""
    groups = [list(group) for group in look_alikes]
    fixed = _fixed(pieces, groups)
    free = {piece.source for piece, _split in pieces} - fixed.keys()
    tied = [members for group in groups if (members := sorted(free.intersection(group)))]
    single = free.difference(*tied)
    places = {members[0]: _place(members[0], seed) for members in [*tied, *([source] for source in single)]}
    ends = _ends(Counter(fixed.values()), len(free))
    parts = {key: next(split for split in SPLITS if at < ends[split]) for key, at in places.items()}
    _fill(parts, places, Counter(fixed.values()), ends)
    found = {source: parts[members[0]] for members in tied for source in members}
    return {**fixed, **found, **{source: parts[source] for source in single}}


def _ends(fixed: Counter[str], free: int) -> dict[str, float]:
    """Where the parts of the free sources end, in 0..1: what is held out already counts towards its part's share."""
    wanted = {
        split: max(share / sum(SHARES) * (fixed.total() + free) - fixed[split], 0.0)
        for split, share in zip(SPLITS, SHARES, strict=True)
    }
    total, end, ends = sum(wanted.values()) or 1.0, 0.0, {}
    for split in SPLITS:
        end += wanted[split] / total
        ends[split] = end
    return ends | {SPLITS[-1]: 1.0}


def _place(key: str, seed: int) -> float:
    """Where the key stands in 0..1 (1 excluded), as if by lot."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48  # 48 bits: a float holds them all, and never rounds up to 1


def _fill(parts: dict[str, str], places: dict[str, float], fixed: Counter[str], ends: dict[str, float]) -> None:
    """No part is empty, as long as another one has two: training first, then test."""
    starts = dict(zip(SPLITS, (0.0, *ends.values()), strict=False))
    middles = {split: (starts[split] + ends[split]) / 2 for split in SPLITS}
    for split in (TRAIN, TEST, DEV):
        have = Counter(parts.values()) + fixed
        spare = [key for key, part in parts.items() if have[part] > 1 or split == TRAIN]
        if not have[split] and spare:
            parts[min(spare, key=lambda key: (abs(places[key] - middles[split]), key))] = split


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
