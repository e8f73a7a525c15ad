"""A trained reward model as a judge: it reads the instruction of the rendered prompt and the two pictures, no question.

Settings: {"model", "number", "dimension", "folder", "fingerprint", "device"}; the web side adds the folder and the
fingerprint. The dimension is one of the model's own, or "overall": all of them together where none has that name. The
candidates of one source and instruction are scored in one pass.

The model's scale becomes the request's: see ``within``. A score that is no finite number is a failure, never a score.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from scoring.judging.contract import JudgeError, QuestionAnswer, Reply, Request, Status
from scoring.judging.render import PromptError, parse
from training.gpu.editors import CannotEdit
from training.gpu.reading import read_picture

if TYPE_CHECKING:
    from training.gpu.reward.answers import Answer
    from training.gpu.reward.scorer import Scored, Scorer

OVERALL = "overall"
CANNOT = "cannot judge"
WHY = "A reward model reads the instruction alone."
EDGE = 0.05  # of the scale at each end, where scores are pressed together
KNOWN = ("model", "number", "dimension", "folder", "fingerprint", "device")

Asked = tuple[int, Image.Image]  # a request's place, and its edited picture


class RewardJudge:
    """See scoring.judging.contract.Judge."""

    batch, threads = 32, 0

    def __init__(self, scorer: Scorer, dimension: str, name: str) -> None:
        self.scorer, self.dimension, self.name = scorer, dimension, name
        scales = {one["key"]: (one["low"], one["high"]) for one in scorer.told["dimensions"]}
        self.low, self.high = scales.get(dimension, (scorer.low, scorer.high))

    def judge(self, requests: Sequence[Request]) -> list[Reply]:
        start = time.perf_counter()
        replies: dict[int, Reply] = {}
        groups = self._groups(requests, replies)
        for (source, instruction), asked in groups.items():
            for (place, _picture), answer in zip(asked, self._answers(source, instruction, asked), strict=True):
                seconds = (time.perf_counter() - start) / len(requests)
                replies[place] = self._reply(requests[place], answer, seconds)
        return [replies[place] for place in range(len(requests))]

    def _groups(self, requests: Sequence[Request], replies: dict[int, Reply]) -> dict[tuple[str, str], list[Asked]]:
        """Requests by source file and instruction; replies to those that cannot be asked are put in ``replies``."""
        groups: dict[tuple[str, str], list[Asked]] = {}
        for place, request in enumerate(requests):
            try:
                instruction = parse(request.text).instruction
                groups.setdefault((request.source, instruction), []).append((place, _read(request.edited, "picture B")))
            except PromptError as error:
                replies[place] = self._refused("prompt", str(error))
            except CannotEdit as error:
                replies[place] = Reply(Status.FAILED, kind="picture", note=str(error), model=self.name)
        return groups

    def _answers(self, source: str, instruction: str, asked: Sequence[Asked]) -> list[Reply | Answer]:
        from training.gpu.reward.answers import answers
        from training.gpu.reward.network import Example

        try:
            picture = _read(source, "picture A")
        except CannotEdit as error:
            return [Reply(Status.FAILED, kind="picture", note=str(error), model=self.name) for _one in asked]
        example = Example(source, instruction, picture, tuple(picture for _place, picture in asked))
        return [*answers(self.scorer, [example])[0]]

    def _reply(self, request: Request, answer: Reply | Answer, seconds: float) -> Reply:
        if isinstance(answer, Reply):
            return answer
        if isinstance(answer, str):
            return self._refused("picture", answer)
        value, sigma = self._value(answer)
        if not (math.isfinite(value) and math.isfinite(sigma)):
            note = f"The reward model gave no finite number for {self.dimension}: its files may be damaged."
            return Reply(Status.FAILED, kind="number", note=note, model=self.name)
        share = within((value - self.low) / (self.high - self.low))
        score = min(request.high, request.low + (request.high - request.low) * share)
        questions = tuple(QuestionAnswer(key, CANNOT, WHY) for key in request.questions)
        words = f"{self.dimension}: {value:.2f} ± {sigma:.2f} on its scale from {self.low:g} to {self.high:g}."
        raw = json.dumps(_raw(answer), ensure_ascii=False)
        return Reply(Status.PARSED, score, questions, words, raw=raw, model=self.name, cost=0.0, seconds=seconds)

    def _value(self, scored: Scored) -> tuple[float, float]:
        if self.dimension not in scored.mu:  # what people said of the whole is better than all dimensions together
            return scored.overall, scored.overall_sigma
        return scored.mu[self.dimension], scored.sigma[self.dimension]

    def _refused(self, kind: str, note: str) -> Reply:
        return Reply(Status.REFUSED, kind=kind, note=note, model=self.name)


def within(share: float) -> float:
    """A place on the model's scale, 0 and 1 its ends, as a place strictly between them; strictly increasing.

    Unchanged from EDGE to 1 - EDGE. Beyond, EDGE / (1 + x) is left to the end, where x is how far beyond in units of
    EDGE: the slope goes on from 1, and the order of scores that lie outside of the scale is kept.
    """
    if share < EDGE:
        return EDGE / (1 + (EDGE - share) / EDGE)
    if share > 1 - EDGE:
        return 1 - EDGE / (1 + (share - (1 - EDGE)) / EDGE)
    return share


def _raw(scored: Scored) -> dict[str, Any]:
    from training.gpu.reward.answers import to_json

    return to_json(scored)


def _read(file: str, name: str) -> Image.Image:
    return read_picture(Path(file), name)


def check(settings: Mapping[str, Any]) -> None:
    """Raises JudgeError for settings that name no model."""
    if unknown := sorted(set(settings) - set(KNOWN)):
        raise JudgeError(f"A reward model as a judge has no setting {', '.join(map(str, unknown))}.")
    for name in ("model", "dimension"):
        if not isinstance(settings.get(name), str) or not settings[name]:
            raise JudgeError(f"A reward model as a judge needs the setting {name}.")
    if type(settings.get("number")) is not int:
        raise JudgeError("A reward model as a judge needs the number of its version.")


def load(settings: Mapping[str, Any]) -> RewardJudge:
    """Raises JudgeError for a model that is not there, or is another than the judge was made with."""
    check(settings)
    from training.gpu.reward.checkpoint import WrongCheckpoint
    from training.gpu.reward.scorer import Scorer

    folder = settings.get("folder")
    if not isinstance(folder, str) or not folder or not Path(folder).is_dir():
        raise JudgeError(f"The folder of the reward model is not on this machine: {folder}.")
    try:
        scorer = Scorer.load(Path(folder), str(settings.get("device") or "auto"))
    except WrongCheckpoint as error:
        raise JudgeError(str(error)) from None
    if scorer.fingerprint != settings.get("fingerprint", scorer.fingerprint):
        raise JudgeError(f"The files of the reward model in {folder} are another model's than this judge's.")
    dimension = settings["dimension"]
    if dimension not in (OVERALL, *scorer.dimensions):
        known = ", ".join((OVERALL, *scorer.dimensions))
        raise JudgeError(f"The reward model has no dimension {dimension!r:.100}, only: {known}.")
    name = f"{settings['model']} v{settings['number']} {scorer.fingerprint[:12]}"
    return RewardJudge(scorer, dimension, name)
