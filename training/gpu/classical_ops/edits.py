"""The eight tasks. Each function takes a Job, which holds the mask as the variant cut it, and returns the picture.

Coordinates among a case's parameters are shares of the picture's width and height, so they survive a change of size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from training.gpu.classical_ops import paste
from training.gpu.classical_ops.backdrops import fractal, make_backdrop
from training.gpu.classical_ops.blur import lens_blur
from training.gpu.classical_ops.colour import Floats, floats, from_lab, in_range, luma, parse_colour, saturate, to_lab
from training.gpu.classical_ops.light import relight
from training.gpu.classical_ops.masks import blurred, feathered, grown, mixed, roughened
from training.gpu.classical_ops.params import WrongParams, choice, number, table
from training.gpu.classical_ops.patchfill import fill_patches, fill_smooth
from training.gpu.classical_ops.pictures import to_array, to_image
from training.gpu.classical_ops.style import STYLES
from training.gpu.classical_ops.variants import Variant

TOUCHED = 0.02  # coverage from which a pixel of a removed object is filled anew


@dataclass(frozen=True, slots=True)
class Job:
    """``exact`` is the stored mask (ones where there is none), ``mask`` the one to work with, both (h, w) in 0..1."""

    picture: Floats
    exact: Floats
    mask: Floats
    params: Mapping[str, Any]
    variant: Variant
    rng: np.random.Generator

    @property
    def share(self) -> float:
        """How much of the result replaces the original."""
        return min(self.variant.strength, 1.0)


def make_job(
    picture: Floats, mask: Floats | None, params: Mapping[str, Any], variant: Variant, rng: np.random.Generator
) -> Job:
    if mask is None:
        exact = np.ones(picture.shape[:2], np.float32)
        missed = _patchy(picture.shape[:2], rng) if variant.rough else exact
        return Job(picture, exact, missed, params, variant, rng)
    spoilt = grown(mask, variant.grow)
    if variant.rough:
        spoilt = roughened(spoilt, variant.rough, rng)
    if variant.feather:
        spoilt = feathered(spoilt, variant.feather)
    return Job(picture, mask, spoilt, params, variant, rng)


def _patchy(size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Seven tenths of the picture, in blots: a change of the whole picture that was not carried through."""
    field = fractal(size, 0.5, rng)
    return floats(field > np.quantile(field, 0.3))


def remove(job: Job) -> Floats:
    """params: {"copy_from": [[left, top, width, height], ...]} optionally says where to take texture from."""
    return mixed(job.picture, _without(job), job.mask * job.share if job.variant.feather else job.share)


def add(job: Job) -> Floats:
    """params: {"object": {...}, "box": [left, top, width, height], "shadow": "drop" | "contact"}."""
    return _pasted(job, job.picture)


def swap(job: Job) -> Floats:
    """params: those of remove and of add."""
    whole = _pasted(job, _without(job))
    return mixed(job.picture, whole, job.share)


def color(job: Job) -> Floats:
    """params: {"color": "#rrggbb", "lift": share of the way to the colour's own lightness, default 0.3}."""
    lab = to_lab(job.picture)
    weight = job.exact[..., None] + 1e-6
    target = to_lab(parse_colour(job.params.get("color"))[None])[0]
    target[1:] *= job.rng.uniform(0.95, 1.05, 2)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    typical = float((chroma * weight[..., 0]).sum() / weight.sum())
    tonal = np.sin(np.pi * np.clip(lab[..., 0], 2, 98) / 100) ** 0.7
    relative = np.clip(chroma / typical, 0, 1.5) if typical > 8 else tonal
    mean = float((lab[..., 0] * weight[..., 0]).sum() / weight.sum())
    lightness = lab[..., 0] + (target[0] - mean) * number(job.params, "lift", 0.3, 0, 1)
    if job.variant.strength > 1:  # the shading goes with the exaggeration
        lightness, relative = mean + 0.35 * (lightness - mean), np.full_like(chroma, job.variant.strength)
    tinted = from_lab(np.stack([lightness, relative * target[1], relative * target[2]], axis=-1).astype(np.float32))
    spread = np.maximum(job.mask, 0.25 * job.variant.spill)
    return mixed(job.picture, tinted, floats(spread * job.share))


def background(job: Job) -> Floats:
    """params: {"backdrop": {"draw": name, "colors": [...]} or {"picture": data URI}}; the mask is the background."""
    backdrop = make_backdrop(job.picture.shape[:2], table(job.params, "backdrop"), job.rng)
    if job.variant.strength > 1:
        backdrop = in_range((saturate(backdrop, 1.8) - 0.45) * 1.35 + 0.5)
    subject = job.picture
    if job.variant.finish:  # pixels at the subject's rim hold old background: take the colours from inside the subject
        _, nearest = ndimage.distance_transform_edt(job.mask > TOUCHED, return_indices=True)
        subject = mixed(subject, subject[nearest[0], nearest[1]], floats(job.mask > TOUCHED))
    return mixed(job.picture, mixed(subject, backdrop, job.mask), _inside(job))


def bokeh(job: Job) -> Floats:
    """params: {"radius": share of the larger side, default 0.016}; the mask is what gets out of focus."""
    strength = job.variant.strength
    share = number(job.params, "radius", 0.016, 0.001, 0.1) * job.rng.uniform(0.93, 1.07)
    radius = max(1.2, share * max(job.picture.shape[:2]) * (2.4 if strength > 1 else strength))
    out_of_focus = lens_blur(job.picture, job.mask, radius, glow=30.0 if strength > 1 else 3.0)
    result = mixed(job.picture, out_of_focus, job.mask)
    if job.variant.spill:
        result = mixed(blurred(result, 0.2 * radius), out_of_focus, job.mask)
    return result


def relit(job: Job) -> Floats:
    """params: those of light.relight; a mask is not needed."""
    if job.variant.finish:
        lit = relight(job.picture, job.params, job.variant.strength, job.rng)
    else:  # a veil of colour over the picture, which takes its contrast
        grey = np.full_like(job.picture, 0.5)
        lit = mixed(job.picture, relight(grey, job.params, 1.0, job.rng), 0.55)
    return mixed(job.picture, lit, job.mask)


def style(job: Job) -> Floats:
    """params: {"style": one of style.STYLES}; a mask is not needed."""
    name = choice(job.params, "style", STYLES)
    force = max(job.variant.strength, 1.0) * job.rng.uniform(0.96, 1.04)
    drawn = STYLES[name](job.picture, force, job.rng)
    if not job.variant.finish:
        drawn = blurred(drawn, 0.0045 * max(drawn.shape[:2]))
    return mixed(job.picture, drawn, job.mask * job.share)


TASKS: dict[str, Callable[[Job], Floats]] = {
    "add": add,
    "remove": remove,
    "swap": swap,
    "color": color,
    "background": background,
    "bokeh": bokeh,
    "relight": relit,
    "style": style,
}
NEED_MASK = ("remove", "swap", "color", "background", "bokeh")


def spilled(picture: Floats, amount: float, rng: np.random.Generator) -> Floats:
    """Changes that nobody asked for: a colour cast, paler contrast, and the blocks of strong JPEG compression."""
    cast = rng.choice(((1.05, 1.0, 0.88), (0.92, 0.99, 1.08), (0.94, 1.04, 0.94), (1.06, 0.95, 1.03)))
    pale = 0.5 + (picture - 0.5) * (1 - 0.14 * amount)
    buffer = BytesIO()
    to_image(floats(pale * (1 + amount * (cast - 1)))).save(buffer, format="JPEG", quality=round(40 - 20 * amount))
    with Image.open(buffer) as compressed:
        return to_array(compressed.convert("RGB"))


def _without(job: Job) -> Floats:
    """The picture with the masked object gone."""
    hole = job.mask > TOUCHED
    if job.variant.strength > 1:  # takes its surroundings along
        hole = grown(job.mask, 0.18, least=0.03) > TOUCHED
    if not job.variant.finish:
        return fill_smooth(job.picture, hole)
    usable = None
    if "copy_from" in job.params:
        usable = np.zeros(hole.shape, np.bool_)
        boxes = job.params["copy_from"]
        if not isinstance(boxes, list):
            raise WrongParams("copy_from must be a list of boxes")
        for box in boxes:
            left, top, width, height = paste.box_in_pixels({"box": box}, hole.shape)
            usable[max(top, 0) : top + height, max(left, 0) : left + width] = True
    return fill_patches(job.picture, hole, job.rng, usable=usable)


def _pasted(job: Job, ground: Floats) -> Floats:
    """The object of ``params`` in its box, on that ground."""
    variant, shape = job.variant, job.picture.shape
    left, top, width, height = paste.box_in_pixels(job.params, shape)
    scale = (1.4 if variant.strength > 1 else 1.0) * job.rng.uniform(0.97, 1.0)
    size = max(round(height * scale), 2), max(round(width * scale), 2)
    moved = (
        left + round((width - size[1]) / 2 + job.rng.uniform(-0.01, 0.01) * width),
        top + round((height - size[0]) / 2 + job.rng.uniform(-0.01, 0.01) * height),
    )
    drawn = paste.make_object(table(job.params, "object"), size, job.rng)
    colour, covered = paste.on_canvas(drawn, (*moved, size[1], size[0]), shape)
    if variant.rough:
        covered = roughened(covered, 0.6 * variant.rough, job.rng)
        colour = mixed(np.full_like(colour, float(luma(ground).mean())), colour, floats(colour.max(axis=-1) > 0))
    elif variant.feather:
        reach = 0.5 * variant.feather * float(np.sqrt(max(covered.sum(), 1.0)))
        _, nearest = ndimage.distance_transform_edt(covered < 0.5, return_indices=True)
        colour, covered = blurred(colour[nearest[0], nearest[1]], 0.3 * reach), blurred(covered, reach)
    elif variant.strength > 1:
        colour = saturate(in_range((colour - 0.5) * 1.3 + 0.55), 1.8)
    else:
        colour = paste.harmonised(colour, covered, ground)
    if variant.finish and not variant.rough:
        ground = paste.with_shadow(ground, covered, job.params.get("shadow"), job.variant.strength)
    whole = mixed(ground, colour, covered * job.share)
    return mixed(job.picture, whole, job.exact) if _keeps_to_mask(variant) else whole


def _keeps_to_mask(variant: Variant) -> bool:
    return not (variant.rough or variant.feather or variant.grow)


def _inside(job: Job) -> Floats:
    return floats(job.mask > 0) * np.float32(job.share)
