"""The CPU editor: a small flow-matching model of the drawn world, of the same classes as FLUX.1-Kontext.

Settings: {"base": one of the committed bases, default "good"} or {"model": a folder of a trained or saved one};
{"steps": sampling steps, default 8}; {"batch": images in one pass at most, default 32};
{"lora": {"file": a safetensors file, "scale": default 1}}. It edits pictures of 64 x 64 pixels by instructions over the
words of the drawn world, on the CPU. docs/cpu-editor.md tells how it was trained.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drawnworld.scene import SIZE
from training.gpu.editors import CannotEdit, EditCase, EditedImage, EditorError

BASES = ("good", "rough")
NUMBERS = {"steps": (8, 50), "batch": (32, 256)}  # setting: default, most


class DrawnEditor:
    """One base with one number of steps. An image depends on its own case and seed; the batch it is made in moves it
    by rounding alone, at most one level of 255."""

    def __init__(self, pipeline: Any, settings: Mapping[str, Any], batch: int) -> None:
        self.pipeline = pipeline
        self.settings = settings
        self.batch = batch

    def edit(self, case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        return self.edit_many([case] * len(seeds), seeds)

    def edit_many(self, cases: Sequence[EditCase], seeds: Sequence[int]) -> list[EditedImage]:
        """One image a pair of case and seed, in order. Raises CannotEdit for the first case that cannot be done, before
        any is made; ValueError where there are not as many seeds as cases."""
        from training.gpu.drawn.sample import sample

        pairs = list(zip(cases, seeds, strict=True))
        for case in cases:
            check_case(case)
        if not pairs:
            return []
        start = time.perf_counter()
        sources = [case.source.convert("RGB") for case, _ in pairs]
        noise_seeds = [seed % 2**63 for _, seed in pairs]
        words = [case.instruction for case, _ in pairs]
        images = sample(self.pipeline, sources, words, noise_seeds, self.settings["steps"])
        seconds = (time.perf_counter() - start) / len(pairs)
        return [
            EditedImage(image, seed, noise_seed, dict(self.settings), seconds)
            for image, (_, seed), noise_seed in zip(images, pairs, noise_seeds, strict=True)
        ]


def check_case(case: EditCase) -> None:
    """Raises CannotEdit for a picture or an instruction that the model was not made for."""
    from training.gpu.drawn.words import MOST_WORDS, split, unknown_words

    if case.source.size != (SIZE, SIZE):
        width, height = case.source.size
        raise CannotEdit(
            f"The source has {width} x {height} pixels. The CPU editor knows the drawn world alone, whose pictures "
            f"have {SIZE} x {SIZE}: use its cases, or another editor."
        )
    if not isinstance(case.instruction, str) or not split(case.instruction):
        raise CannotEdit("The case has no instruction, and the CPU editor edits by instruction.")
    if unknown := unknown_words(case.instruction):
        raise CannotEdit(f"The CPU editor does not know the words {', '.join(map(repr, unknown[:5]))}.")
    if (count := len(split(case.instruction))) > MOST_WORDS:
        raise CannotEdit(f"The instruction has {count} words; the CPU editor reads {MOST_WORDS} at most.")


def check(settings: Mapping[str, Any]) -> None:
    """Raises EditorError for settings that do not exist, and values that are not allowed."""
    if unknown := set(settings) - {"base", "model", "lora", *NUMBERS}:
        raise EditorError(
            f"Unknown settings of the CPU editor: {', '.join(sorted(unknown))}. "
            "It has base (or model), steps, batch and lora."
        )
    if "base" in settings and "model" in settings:
        raise EditorError("Give the CPU editor a base or a model, not both.")
    base, model = settings.get("base", "good"), settings.get("model")
    if base not in BASES:
        raise EditorError(f"The CPU editor's base must be one of {', '.join(BASES)}, not {base!r}.")
    if model is not None and not isinstance(model, str):
        raise EditorError(f"The CPU editor's model must be a folder that exists, not {model!r}.")
    for name in NUMBERS:
        _number(settings, name)
    _lora(settings.get("lora"))


def load(settings: Mapping[str, Any]) -> DrawnEditor:
    """Raises EditorError as ``check``, and for a folder that is not there or weights that were changed."""
    check(settings)
    base, model = settings.get("base", "good"), settings.get("model")
    if model and not Path(model).is_dir():
        raise EditorError(f"The CPU editor's model must be a folder that exists, not {model!r}.")
    steps, batch = (_number(settings, name) for name in NUMBERS)
    lora = _lora(settings.get("lora"))
    from training.gpu.drawn.weights import FOLDER, WrongWeights, load_model

    try:
        pipeline, digest = load_model(Path(model) if model else FOLDER / base)
    except WrongWeights as error:
        raise EditorError(str(error)) from None
    made_with: dict[str, Any] = {"model": model} if model else {"base": base}
    made_with |= {"steps": steps, "sha256": digest}
    if lora:
        from training.gpu.diffusion.lora import load as load_lora
        from training.gpu.diffusion.settings import Lora

        made_with["lora"] = load_lora(pipeline, "transformer", Lora(**lora))
    return DrawnEditor(pipeline, made_with, batch)


def _number(settings: Mapping[str, Any], name: str) -> int:
    default, most = NUMBERS[name]
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise EditorError(f"The CPU editor's {name} must be a whole number from 1 to {most}, not {value!r}.")
    return value


def _lora(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not isinstance(value.get("file"), str) or set(value) - {"file", "scale"}:
        raise EditorError(f'The CPU editor\'s lora must be {{"file": path, "scale": number}}, not {value!r}.')
    scale = value.get("scale", 1.0)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not -10 <= scale <= 10:
        raise EditorError(f"The scale of the CPU editor's lora must be a number from -10 to 10, not {scale!r}.")
    return {"file": value["file"], "scale": float(scale)}
