"""Samples of the drawn world, and sources of reward that answer what a test tells them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from drawnworld.edits import Pair, draw_pair
from training.gpu.editors import EditCase
from training.gpu.posttrain.rewarding import Judged, Sample

PAIR, OTHER = draw_pair(78, 3, "color"), draw_pair(78, 4, "add")
PROMPT: dict[str, Any] = {
    "task": "Colour",
    "text": {"preamble": "Score it.", "questions": ["Is it done?"], "rubric": "5: good.", "low": 0, "high": 5},
    "questions": ["done"],
}


def case(pair: Pair = PAIR, key: str = "a", **changes: Any) -> EditCase:
    params = {"scene": pair.scene.to_json(), "edit": pair.edit.to_json()}
    given = {"instruction": pair.edit.instruction, "task": pair.edit.task, "params": params, "key": key, **changes}
    return EditCase(Image.fromarray(pair.source), None, **given)


def samples(pair: Pair = PAIR, key: str = "a", group: int = 1, **changes: Any) -> list[Sample]:
    """The right edit, one that is too bright, and the source as it was."""
    bright = np.clip(pair.target.astype(int) + 25, 0, 255).astype(np.uint8)
    of = case(pair, key, **changes)
    pictures = [Image.fromarray(pixels) for pixels in (pair.target, bright, pair.source)]
    return [Sample(of, group, f"{key}/{place}", picture) for place, picture in enumerate(pictures)]


class Told:
    """A source that says what a function makes of the samples; on a scale from 0 to 1."""

    def __init__(self, name: str, say: Callable[[Sequence[Sample]], list[float | None]]) -> None:
        self.name, self.say, self.closed = name, say, 0
        self.stopped = False

    def judge(self, some: Sequence[Sample]) -> list[Judged | None]:
        return [None if value is None else Judged(value, None, 0.0, 1.0) for value in self.say(some)]

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed += 1
