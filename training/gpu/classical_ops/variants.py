"""How well an edit is done: one careful way, and five ways people would mark down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """``strength``: 1 does what was asked, less does it by halves, more exaggerates. ``feather``, ``rough`` and
    ``grow`` spoil the mask, by that share of its size. ``finish``: texture, shadows, tone and relief. ``spill``:
    changes that nobody asked for, over the whole picture, 0 to 1."""

    description: str
    strength: float = 1.0
    feather: float = 0.0
    rough: float = 0.0
    grow: float = 0.0
    finish: bool = True
    spill: float = 0.0


VARIANTS = {
    "careful": Variant("exact mask, texture, shadows"),
    "soft": Variant("smeared: blurred mask, no texture, no shadow", feather=0.09, finish=False),
    "rough": Variant("ragged mask with hard edges, no shadow", rough=0.13),
    "overdone": Variant("exaggerated, and beyond the mask", strength=1.9, grow=0.06),
    "leaky": Variant("well done, but the rest of the picture changed too", spill=1.0),
    "timid": Variant("done by less than half", strength=0.38),
}
