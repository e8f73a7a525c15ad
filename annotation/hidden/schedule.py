"""When a hidden item is due. Pure and seeded: by chance in every stretch of work, so that nobody can count it out."""

from __future__ import annotations

from collections.abc import Sequence

from annotation.assign import seeded


def place_in(stretch: int, every: int, *seed: object) -> int:
    """The place of the one hidden item in a stretch of ``every`` places, counted from the first place of all."""
    return stretch * every + seeded("hidden", *seed, stretch).randrange(every)


def owed(every: int, places: int, *seed: object) -> int:
    """How many hidden items of a kind belong among the first ``places`` places of an annotator's work; 0 if off.

    Two of them are 1 to 2·every - 1 places apart.
    """
    if not every or places < 1:
        return 0
    stretch = (places - 1) // every
    return stretch + (place_in(stretch, every, *seed) < places)


def with_hidden(live: int, kinds: Sequence[tuple[int, int, object]], size: int, *seed: object) -> int:
    """How many places ``live`` live units take with the hidden items among them.

    ``kinds``: (every, at most so many, name of the kind). ``size``: places of one item. It is known before the work
    begins, so the total that an annotator sees does not grow when a hidden item comes.
    """
    places = live
    for _attempt in range(100):  # grows by ever smaller steps, and no further than all hidden items there are
        # One place more: after the last live unit comes what is due then
        hidden = size * sum(min(owed(every, places + 1, *seed, name), most) for every, most, name in kinds)
        if live + hidden == places:
            break
        places = live + hidden
    return places
