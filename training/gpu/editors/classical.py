"""Classical edits: no model, only masks and formulas, for data sets whose cases carry a mask and parameters.

Six variants from careful to visibly flawed (``classical_ops.variants``) give candidates that people can tell apart, so
that a study can be tried without any model. What a case's parameters hold is said at each function of
``classical_ops.edits``. Wherever these candidates are shown they are called classical edits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from training.gpu.classical_ops.edits import NEED_MASK, TASKS, make_job, spilled
from training.gpu.classical_ops.params import WrongParams
from training.gpu.classical_ops.pictures import to_array, to_image
from training.gpu.classical_ops.variants import VARIANTS
from training.gpu.editors import CannotEdit, EditCase, EditedImage, EditorError

SMALLEST = 8  # pixels a side: a patch must fit in


class ClassicalEditor:
    """One variant. The same case and seed give the same image; another seed varies places, tones and textures."""

    def __init__(self, variant: str) -> None:
        self.name = variant
        self.variant = VARIANTS[variant]

    def edit(self, case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        return [self._edit(case, seed) for seed in seeds]

    def _edit(self, case: EditCase, seed: int) -> EditedImage:
        if case.task not in TASKS:
            raise CannotEdit(f"The classical editor does not know the task {case.task}, only: {', '.join(TASKS)}.")
        if case.mask is None and case.task in NEED_MASK:
            raise CannotEdit(f"The classical editor needs a mask for the task {case.task}, and the case has none.")
        if min(case.source.size) < SMALLEST:
            raise CannotEdit(f"The source has {case.source.size} pixels; {SMALLEST} a side is the least.")
        start = time.perf_counter()
        rng = np.random.default_rng((seed % 2**64, crc32(f"{self.name}/{case.task}".encode())))
        mask = None if case.mask is None else to_array(case.mask.convert("L"))
        if mask is not None and not mask.any():
            raise CannotEdit("The case's mask is empty: there is nothing to edit.")
        try:
            job = make_job(to_array(case.source.convert("RGB")), mask, case.params, self.variant, rng)
            edited = TASKS[case.task](job)
        except WrongParams as error:
            raise CannotEdit(f"The case's params do not suit the task {case.task}: {error}.") from error
        if self.variant.spill:
            edited = spilled(edited, self.variant.spill, rng)
        return EditedImage(to_image(edited), seed, None, {"variant": self.name}, time.perf_counter() - start)


def check(settings: Mapping[str, Any]) -> None:
    variant = settings.get("variant", "careful")
    if set(settings) - {"variant"} or not isinstance(variant, str) or variant not in VARIANTS:
        raise EditorError(
            f"The classical editor's only setting is variant, one of {', '.join(VARIANTS)}; got {settings}."
        )


def load(settings: Mapping[str, Any]) -> ClassicalEditor:
    """``settings``: {"variant": one of VARIANTS, default "careful"}. Raises EditorError."""
    check(settings)
    return ClassicalEditor(settings.get("variant", "careful"))
