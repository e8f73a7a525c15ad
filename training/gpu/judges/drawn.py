"""The demo judge: a small network that knows the drawn world alone. It is no VLM, and wherever it is shown it says so.

It has no settings. It reads the rendered prompt as any judge does: the instruction, the numbered questions and the two
pictures. Its score is the mean of its impression and of its answers to the questions that it can judge, brought to the
scale of the request. docs/embedded-judge.md tells how it was trained and what it can do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from drawnworld.questions import FAMILIES
from scoring.judging.contract import JudgeError, QuestionAnswer, Reply, Request, Status
from scoring.judging.render import PromptError, Rendered, parse
from training.gpu.drawn_judge.pictures import NotDrawn, scene_pixels, source_pixels
from training.gpu.editors import CannotEdit
from training.gpu.reading import read_picture

if TYPE_CHECKING:
    from training.gpu.drawn_judge.answering import Answer, Answerer, Verdict

PREPROCESSING = "drawn-64/1"  # name and version of what ``pictures`` does; for the cache key
WEIGHTS = Path(__file__).parent.parent / "drawn_judge" / "weights"
YES, NO = 2 / 3, 1 / 3  # probabilities from which the answer is yes, and below which it is no
CANNOT = "cannot judge"


class EmbeddedJudge:
    """See scoring.judging.contract.Judge. A reply depends on its own request alone."""

    batch, threads = 16, 0

    def __init__(self, answerer: Answerer, model: str) -> None:
        self.answerer, self.model = answerer, model

    def judge(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        start = time.perf_counter()
        refused = Refusal(self.model)
        try:
            prompt = parse(request.text)
        except PromptError as error:
            return refused("prompt", str(error))
        if len(prompt.questions) != len(request.questions):
            return refused("prompt", f"The prompt has {len(prompt.questions)} questions, not {len(request.questions)}.")
        try:
            pictures = _picture(request.source, "picture A"), _picture(request.edited, "picture B")
        except CannotEdit as error:
            return Reply(Status.FAILED, kind="picture", note=str(error), model=self.model)
        return self._judged(request, prompt, pictures, start)

    def _judged(
        self, request: Request, prompt: Rendered, pictures: tuple[Image.Image, Image.Image], start: float
    ) -> Reply:
        from training.gpu.drawn_judge.answering import CannotRead

        refused = Refusal(self.model)
        try:
            source = source_pixels(pictures[0])
        except NotDrawn as error:
            return refused("picture", f"Picture A {error}. The demo judge knows nothing else: use another judge.")
        try:
            edited = scene_pixels(pictures[1])
        except NotDrawn as error:
            return refused("picture", f"Picture B {error}.")
        try:
            verdict = self.answerer.verdict(prompt.instruction, prompt.questions, source, edited)
        except CannotRead as error:
            return refused("instruction", str(error))
        return scored(request, verdict, self.model, time.perf_counter() - start)


class Refusal:
    """Replies of a judge that declines, in words."""

    def __init__(self, model: str) -> None:
        self.model = model

    def __call__(self, kind: str, note: str) -> Reply:
        return Reply(Status.REFUSED, kind=kind, note=note, model=self.model)


def scored(request: Request, verdict: Verdict, model: str, seconds: float) -> Reply:
    """The verdict on the request's scale. ``raw`` is the object that the prompt asks for."""
    score = request.low + (request.high - request.low) * verdict.mean
    pairs = zip(request.questions, verdict.answers, strict=True)
    answers = tuple(QuestionAnswer(key, _word(answer), _reason(answer)) for key, answer in pairs)
    reasoning = _reasoning(verdict)
    rows = [{"question": n, "answer": one.answer, "why": one.reason} for n, one in enumerate(answers, start=1)]
    raw = json.dumps({"answers": rows, "reasoning": reasoning, "score": score}, ensure_ascii=False)
    return Reply(Status.PARSED, score, answers, reasoning, raw=raw, model=model, cost=0.0, seconds=seconds)


def _word(answer: Answer) -> str:
    if answer.yes is None:
        return CANNOT
    return "yes" if answer.yes >= YES else "no" if answer.yes <= NO else "partly"


def _reason(answer: Answer) -> str:
    """For an answer also what the question was taken for: it may have been meant otherwise."""
    if answer.yes is None:
        return answer.why_not
    return f"Read as “{FAMILIES[answer.family].wordings[0]}”: probability of yes {answer.yes:.2f}."


def _reasoning(verdict: Verdict) -> str:
    judged = sum(answer.yes is not None for answer in verdict.answers)
    text = f"Demo judge, not a VLM. Impression that B changed in the way asked for: {verdict.impression:.2f}."
    if verdict.answers:
        text += f" It could judge {judged} of {len(verdict.answers)} questions."
    return f"{text} The mean of what it could judge is {verdict.mean:.2f}."


def _picture(file: str, name: str) -> Image.Image:
    return read_picture(Path(file), name)


def check(settings: Mapping[str, Any]) -> None:
    """Raises JudgeError: there are no settings."""
    if settings:
        raise JudgeError(f"The demo judge has no settings; {', '.join(map(str, settings))} was given.")


def model_name() -> str:
    """The judge's model id, from the stated hash of its weights: cheap, for the cache key. Raises JudgeError."""
    try:
        digest = (WEIGHTS / "SHA256SUMS").read_text(encoding="ascii").split()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise JudgeError(f"The weights of the demo judge are not there: {error}.") from None
    return f"drawn-judge {digest[:12]}"


def load(settings: Mapping[str, Any]) -> EmbeddedJudge:
    """Raises JudgeError as ``check``, and for weights that are missing or were changed."""
    check(settings)
    from training.gpu.drawn_judge.answering import Answerer
    from training.gpu.drawn_judge.weights import WrongWeights, load_weights

    try:
        network, digest = load_weights(WEIGHTS)
    except WrongWeights as error:
        raise JudgeError(str(error)) from None
    return EmbeddedJudge(Answerer(network), f"drawn-judge {digest[:12]}")
