"""The judge "transformers": a vision-language model from this machine, by transformers. Nothing is downloaded.

It reads the rendered prompt with picture A (the source) and picture B (the edit) in one message, and writes the answer
that the prompt asks for. Its score is the mean over the digits' probabilities at the place where the answer writes its
score, or that number itself, or the mean straight after the prompt without an answer in words (``score_by``).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from scoring.judging.contract import JudgeError, Reply, Request, Status
from scoring.judging.digits import LEAST_MASS, Expected, expected_score
from scoring.judging.replies import Unreadable, clean, read_reply
from training.gpu.editors import CannotEdit
from training.gpu.reading import read_picture
from training.gpu.vlm.settings import DIGITS, DIGITS_ONLY, parse

if TYPE_CHECKING:
    from training.gpu.vlm.model import Model, Prompt, Written

PREPROCESSING = "pillow-thumbnail/1"  # name and version of what ``_shown`` does; part of the cache key
START = '{"score": '  # what a digit follows
MOST_RAW = 20_000  # characters of an answer that are kept


def check(settings: Mapping[str, Any]) -> None:
    """Refuse settings that are wrong on any machine; nothing is loaded. Raises JudgeError."""
    parse(settings)


def load(settings: Mapping[str, Any]) -> TransformersJudge:
    return TransformersJudge(settings)


class TransformersJudge:
    """See scoring.judging.contract.Judge. ``batch`` gets smaller where the memory does not hold so many."""

    threads = 0

    def __init__(self, settings: Mapping[str, Any], model: Model | None = None) -> None:
        """Raises JudgeError for wrong settings, and for weights that are not here or cannot be used."""
        self.settings = parse(settings)
        self.batch = self.settings.batch
        self._model = model or _load(self.settings)

    def judge(self, requests: Sequence[Request]) -> list[Reply]:
        """A reply for each request, in order. Raises JudgeError for a scale that ``digits-only`` cannot read."""
        replies: list[Reply] = []
        for request in requests:
            self._check_scale(request)
        while len(replies) < len(requests):
            some = requests[len(replies) : len(replies) + self.batch]
            found = self._together(some)
            if found is None and len(some) > 1:
                self.batch = len(some) // 2
            else:
                replies += found or [_failed("memory", "The memory does not hold even one request: use less max_side.")]
        return replies

    def _check_scale(self, request: Request) -> None:
        if self.settings.score_by == DIGITS_ONLY and not 0 <= request.low < request.high <= 9:
            raise JudgeError(
                f"Scoring by digits alone reads one digit, and the scale is {request.low} to {request.high}. Choose a "
                f"judge that scores by its text."
            )

    def _together(self, requests: Sequence[Request]) -> list[Reply] | None:
        """Replies of one batch; None where the memory does not hold it."""
        from training.gpu.vlm.model import Prompt

        start = time.perf_counter()
        failed: dict[int, Reply] = {}
        prompts: dict[int, Prompt] = {}
        for place, request in enumerate(requests):
            try:
                pictures = [self._shown(request.source, "source image"), self._shown(request.edited, "edited image")]
            except CannotEdit as error:
                failed[place] = _failed("picture", str(error))
            else:
                prompts[place] = Prompt(pictures, request.text, request.key)
        written = self._write(list(prompts.values())) if prompts else []
        if written is None:
            return None
        seconds = (time.perf_counter() - start) / len(requests)
        answers = {
            place: self._reply(requests[place], one, seconds) for place, one in zip(prompts, written, strict=True)
        }
        return [failed[place] if place in failed else answers[place] for place in range(len(requests))]

    def _shown(self, file: str, name: str) -> Image.Image:
        """The picture as people see it, made smaller where it is larger than ``max_side``. Raises CannotEdit."""
        picture = read_picture(Path(file), name)
        picture.thumbnail((self.settings.max_side, self.settings.max_side))
        return picture

    def _write(self, prompts: list[Prompt]) -> list[Written | Reply] | None:
        """What the model writes; a reply where its processor does not take the pictures or the text."""
        import torch

        from training.gpu.vlm.model import CannotPrepare

        try:
            if self.settings.score_by == DIGITS_ONLY:
                return [*self._model.write(prompts, 1, start=START)]
            return [*self._model.write(prompts, self.settings.max_tokens, self.settings.temperature)]
        except torch.OutOfMemoryError:
            pass  # its traceback holds the tensors, so the rest comes after it
        except CannotPrepare as error:
            if len(prompts) == 1:
                return [_failed("input", f"The model's processor refuses this request: {error!s:.300}")]
            each = [self._write([prompt]) for prompt in prompts]
            return None if None in each else [one for some in each for one in some or ()]
        gc.collect()
        torch.cuda.empty_cache()
        return None

    def _reply(self, request: Request, written: Written | Reply, seconds: float) -> Reply:
        if isinstance(written, Reply):
            return written
        one = self._of_digits if self.settings.score_by == DIGITS_ONLY else self._of_text
        usage: dict[str, Any] = {
            "model": self._model.name,
            "tokens_in": written.tokens_in,
            "tokens_out": written.tokens_out,
            "seconds": round(seconds, 4),
        }
        return Reply(**one(request, written), **usage, cost=0.0)

    def _of_digits(self, request: Request, written: Written) -> dict[str, Any]:
        """By the first token's probabilities alone."""
        raw = clean(START + written.text, MOST_RAW)
        found = _expected_first(written, request)
        if found is None:
            note = f"The model was not about to write a digit: the scale's digits have less than {LEAST_MASS:.0%}."
            return {"status": Status.FAILED, "kind": "no digit", "note": note, "raw": raw}
        return {"status": Status.PARSED, "raw": raw, **_scored(found)}

    def _of_text(self, request: Request, written: Written) -> dict[str, Any]:
        """By the answer; its number is made finer by the digits' probabilities where they are asked for and clear."""
        raw = written.text
        if "</think>" in raw and "<think>" not in raw:
            raw = f"<think>{raw}"  # the template has written the first one
        kept = clean(raw, MOST_RAW)
        try:
            read = read_reply(raw, request)
        except Unreadable as error:
            if not written.whole:
                note = f"The answer was cut off after {written.tokens_out} tokens; allow more, or ask for less."
                return {"status": Status.FAILED, "kind": "cut off", "note": note, "raw": kept}
            note = f"The answer cannot be read: {error}."
            return {"status": Status.FAILED, "kind": "unreadable", "note": note, "raw": kept}
        reply = {
            "status": read.status,
            "score": read.score,
            "answers": read.answers,
            "reasoning": read.reasoning,
            "note": read.note,
            "raw": kept,
        }
        if read.score is not None and self.settings.score_by == DIGITS:
            found = _expected(written, request, read.score)
            reply |= _scored(found) if found else {}
        return reply


def _load(settings: Any) -> Model:
    """Where the libraries are missing, that is said in the user's words."""
    try:
        from training.gpu.vlm.model import load as load_model
    except ImportError as error:
        raise JudgeError(f"A model by transformers needs the libraries of requirements/gpu.txt: {error}.") from None
    return load_model(settings)


def _expected(written: Written, request: Request, score: float) -> Expected | None:
    """The mean over the digits where the answer writes that score, as for a service that gives log-probabilities."""
    rows = [_row(token, digits) for token, digits in zip(written.tokens, written.digits, strict=False)]
    return expected_score({"content": rows}, request.low, request.high, score)


def _expected_first(written: Written, request: Request) -> Expected | None:
    """The same for the first token after START, whichever digit is the likeliest there."""
    likeliest, _value = max(written.digits[0], key=lambda pair: pair[1])
    rows = [{"token": START}, _row(likeliest, written.digits[0])]
    return expected_score({"content": rows}, request.low, request.high, float(likeliest))


def _row(token: str, digits: Sequence[tuple[str, float]]) -> dict[str, Any]:
    return {"token": token, "top_logprobs": [{"token": name, "logprob": value} for name, value in digits]}


def _scored(found: Expected) -> dict[str, Any]:
    return {"score": found.score, "distribution": found.distribution}


def _failed(kind: str, note: str) -> Reply:
    """A request that did not reach the model."""
    return Reply(Status.FAILED, kind=kind, note=note, sent=False)
