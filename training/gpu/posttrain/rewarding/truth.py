"""The true score of the drawn world as a reward: for tests of the method alone, and named so wherever it is shown."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drawnworld.edits import Edit, apply, edit_mask
from drawnworld.render import render
from drawnworld.scene import SIZE, Scene, SceneError
from drawnworld.score import true_score
from training.gpu.editors import EditCase
from training.gpu.posttrain.rewarding.protocol import Judged, Reasons, Sample
from webapp.jobs.folder import JobError

NAME = "true score of the drawn world"
LOW, HIGH = 0.0, 5.0
KEPT = 1024  # answers that are kept drawn: some 30 KB each

Answer = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]  # source, target, mask


class TruthSource(Reasons):
    """See protocol.Source. The exact answer is drawn again from the case's own data."""

    def __init__(self, name: str = NAME) -> None:
        super().__init__()
        self.name = name
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def judge(self, samples: Sequence[Sample]) -> list[Judged | None]:
        return [self._judged(sample) for sample in samples]

    def _judged(self, sample: Sample) -> Judged | None:
        try:
            source, target, mask = self._answer(sample.case)
        except (SceneError, KeyError, TypeError):
            self.missing("The case is not of the drawn world: nobody knows its true score.")
            return None
        edited = np.asarray(sample.picture.convert("RGB"))
        if edited.shape != target.shape:
            height, width = edited.shape[:2]
            self.missing(f"The edit has {width} × {height} pixels, and the drawn world {SIZE} × {SIZE}.")
            return None
        return Judged(true_score(source, target, mask, edited).score, None, LOW, HIGH)

    def _answer(self, case: EditCase) -> Answer:
        """Raises SceneError, KeyError or TypeError for the data of something else."""
        kept = self._answers.get(case.key) if case.key else None
        if kept is None:
            scene, edit = Scene.from_json(case.params["scene"]), Edit.from_json(case.params["edit"])
            kept = (render(scene), render(apply(scene, edit)), edit_mask(scene, edit))
            if case.key:
                self._answers[case.key] = kept
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        return kept


def load(spec: Mapping[str, Any], _folder: Path) -> TruthSource:
    """Raises JobError for a name that hides what it is, and for settings: there are none."""
    if spec.get("settings"):
        raise JobError("The true score of the drawn world has no settings.")
    if NAME not in spec["name"]:
        raise JobError(f"This reward is the {NAME}: its name must say so.")
    return TruthSource(spec["name"])
