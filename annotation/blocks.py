"""Large groups as blocks of a few candidates. Pure and seeded.

Nobody orders forty pictures at once. An incomplete block design shows them a few at a time: every candidate in so many
blocks, every pair of candidates together about equally often, and all blocks hanging together by their candidates, so
that the orders of the blocks can be joined into one of the whole group.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations
from random import Random

from annotation.assign import seeded

ATTEMPTS = 20
SWAPS = 2000  # looked at in one attempt to even out the pairs

Block = list[int]


def design(candidates: int, size: int, times: int, *seed: object) -> list[tuple[int, ...]]:
    """Blocks of candidates 0..candidates-1, each in ``times`` blocks of ``size`` (or one less) candidates; of
    pairs, one may have three.

    Raises ValueError where no such blocks could be joined: in one block only, candidates of two never meet.
    """
    if not 2 <= size < candidates or times < 2:
        raise ValueError("Blocks need two candidates or more, fewer than the group has, and each candidate twice.")
    sizes = _sizes(candidates, size, times)
    for attempt in range(ATTEMPTS):
        chance = seeded("blocks", candidates, size, times, *seed, attempt)
        blocks = _drawn(candidates, sizes, times, chance)
        if blocks is not None:
            _even_out(blocks, candidates, chance)
            if hang_together(blocks):
                return [tuple(sorted(block)) for block in blocks]
    return _turned(candidates, sizes)


def _sizes(candidates: int, size: int, times: int) -> list[int]:
    """Sizes of the fewest blocks that have room for all, as equal as can be. Nobody orders a single candidate: where
    pairs leave one over, a block has three."""
    places = candidates * times
    count = places // 2 if size == 2 else -(-places // size)
    return [places // count + (number < places % count) for number in range(count)]


def _drawn(candidates: int, sizes: Sequence[int], times: int, chance: Random) -> list[Block] | None:
    """Blocks filled one by one with candidates that were used least and met each other least; None: it got stuck."""
    left = [times] * candidates
    met = [[0] * candidates for _candidate in range(candidates)]
    blocks: list[Block] = []
    for size in sizes:
        block: Block = []
        for _place in range(size):
            free = [key for key in range(candidates) if left[key] and key not in block]
            if not free:
                return None
            chosen = min(free, key=lambda key: (-left[key], sum(met[key][other] for other in block), chance.random()))
            block.append(chosen)
            left[chosen] -= 1
        for one, other in combinations(block, 2):
            met[one][other] += 1
            met[other][one] += 1
        blocks.append(block)
    return blocks


def _even_out(blocks: list[Block], candidates: int, chance: Random) -> None:
    """Swap candidates between blocks while that brings the numbers of meetings closer to each other."""
    met = [[0] * candidates for _candidate in range(candidates)]
    for block in blocks:
        for one, other in combinations(block, 2):
            met[one][other] += 1
            met[other][one] += 1
    pairs = candidates * (candidates - 1) // 2
    low, rest = divmod(sum(len(block) * (len(block) - 1) // 2 for block in blocks), pairs)
    least = (pairs - rest) * low**2 + rest * (low + 1) ** 2  # that the sum of squares of the numbers can be
    excess = sum(count * count for row in met for count in row) // 2 - least
    for _swap in range(SWAPS if excess else 0):
        first, second = chance.sample(blocks, 2)
        one, other = chance.choice(first), chance.choice(second)
        if one in second or other in first:
            continue
        mates, others = [key for key in first if key != one], [key for key in second if key != other]
        change = sum(met[other][key] - met[one][key] + 1 for key in mates)
        change += sum(met[one][key] - met[other][key] + 1 for key in others)
        if change <= 0:
            _swap_places(first, second, one, other, met)
            excess += 2 * change
        if not excess:
            return


def _swap_places(first: Block, second: Block, one: int, other: int, met: list[list[int]]) -> None:
    for block, goes, comes in ((first, one, other), (second, other, one)):
        block.remove(goes)
        for key in block:
            for who, change in ((goes, -1), (comes, 1)):
                met[who][key] += change
                met[key][who] += change
        block.append(comes)


def hang_together(blocks: Sequence[Iterable[Hashable]]) -> bool:
    """Whether every candidate can be reached from every other through blocks that share candidates."""
    left = [set(block) for block in blocks]
    reached = left.pop() if left else set()
    while near := [block for block in left if block & reached]:
        left = [block for block in left if not block & reached]
        reached = reached.union(*near)
    return not left


def _turned(candidates: int, sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """The candidates in a ring, cut into blocks round after round; each begins so much later that blocks overlap."""
    for turn in range(candidates):
        ring = iter([(place + turn * (place // candidates)) % candidates for place in range(sum(sizes))])
        blocks = [tuple(sorted({next(ring) for _place in range(size)})) for size in sizes]
        if [len(block) for block in blocks] == list(sizes) and hang_together(blocks):
            return blocks
    raise ValueError("These blocks would not hang together.")
