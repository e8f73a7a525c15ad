"""Attempts at an edit for the judge to learn from: exact, with the planted faults, and with mixtures of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from drawnworld.edits import Pair, apply, edit_mask
from drawnworld.flaws import ATTEMPTS, drifted, half_done, noisy, wrong_edit, wrong_object
from drawnworld.render import Floats, Image, cell_window, render
from drawnworld.scene import COLOURS, SceneError
from drawnworld.truths import smooth, unit

PLANTED_SHARE, NEAR_SHARE = 0.5, 0.2  # of the attempts; the rest is of MIXED


def draw_attempt(pair: Pair, rng: random.Random) -> Image:
    """One attempt, (64, 64, 3) uint8."""
    sort = rng.random()
    if sort < PLANTED_SHARE:
        return rng.choice(list(ATTEMPTS.values()))(pair, rng).image
    return (near_miss if sort < PLANTED_SHARE + NEAR_SHARE else rng.choice(MIXED))(pair, rng)


def near_miss(pair: Pair, rng: random.Random) -> Image:
    """The edit done to another object, at another place or with another value; or in a colour that nobody asked for."""
    wrong = wrong_edit(rng, pair)
    if pair.edit.after and rng.random() < 0.5:
        used = {pair.edit.after.colour, *(thing.colour for thing in pair.scene.things)}
        colour = rng.choice([colour for colour in COLOURS if colour not in used])
        wrong = replace(pair.edit, after=replace(pair.edit.after, colour=colour))
    return render(apply(pair.scene, wrong))


def blend(pair: Pair, rng: random.Random) -> Image:
    """Any share of the edit."""
    amount = rng.random()
    return _bytes((1 - amount) * unit(pair.source) + amount * unit(pair.target))


def also_wrong(pair: Pair, rng: random.Random) -> Image:
    """The edit, and another one on top of it where the scene allows both."""
    wrong = wrong_edit(rng, pair)
    try:
        return render(apply(apply(pair.scene, pair.edit), wrong))
    except SceneError:
        return render(apply(pair.scene, wrong))


def collateral(pair: Pair, rng: random.Random) -> Image:
    """The edit, with one cell of the picture shifted in colour or blended with its opposite cell."""
    made = unit(pair.target).copy()
    window, other = (cell_window(cell) for cell in rng.sample(range(4), 2))
    amount = rng.uniform(0.2, 0.8)
    filling = made[other] if rng.random() < 0.5 else np.array([rng.random() for _ in range(3)], np.float32)
    made[window] = (1 - amount) * made[window] + amount * filling
    return _bytes(made)


def soft(pair: Pair, rng: random.Random) -> Image:
    """The edit, blurred all over, as small editors draw."""
    made = unit(pair.target)
    for _ in range(rng.randint(1, 4)):
        made = smooth(made)
    return _bytes(made)


def patchwork(pair: Pair, rng: random.Random) -> Image:
    """The edit in some cells alone."""
    made = pair.source.copy()
    for cell in rng.sample(range(4), rng.randint(1, 3)):
        made[cell_window(cell)] = pair.target[cell_window(cell)]
    return made


def shaky(pair: Pair, rng: random.Random) -> Image:
    """Drift over grain, over half an edit, over a wrong one, or over nothing."""
    base: Image = rng.choice((noisy, half_done, wrong_object))(pair, rng).image if rng.random() < 0.75 else pair.source
    return drifted(replace(pair, target=base), rng).image


def grainy(pair: Pair, rng: random.Random) -> Image:
    """Little grain, or grain over half an edit, over a wrong one, or over nothing."""
    base: Image = rng.choice((half_done, wrong_object))(pair, rng).image if rng.random() < 0.5 else pair.source
    if rng.random() < 0.4:
        made = noisy(pair, rng).image
        amount = rng.random()
        return _bytes(amount * unit(made) + (1 - amount) * unit(pair.target))
    return noisy(replace(pair, target=base), rng).image


def smeared(pair: Pair, rng: random.Random) -> Image:
    """The edit with lumps of about the size of a patch, inside its mask or all over, as small editors leave them."""
    lumps = np.random.default_rng(rng.getrandbits(63)).normal(0, rng.uniform(0.03, 0.2), (16, 16, 3))
    field = smooth(np.repeat(np.repeat(lumps, 4, axis=0), 4, axis=1).astype(np.float32))
    where = edit_mask(pair.scene, pair.edit)[..., None] if rng.random() < 0.5 else 1
    return _bytes(unit(pair.target) + field * where)


MIXED: tuple[Callable[[Pair, random.Random], Image], ...] = (
    blend,
    also_wrong,
    collateral,
    soft,
    patchwork,
    shaky,
    grainy,
    smeared,
)


def _bytes(image: Floats) -> Image:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
