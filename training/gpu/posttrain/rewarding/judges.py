"""Judges that read a rendered prompt as sources of reward: the embedded one, a local VLM, and one behind an endpoint.

A source's ``prompt`` says for each task what is asked: {task: {"task": its name, "text": {"preamble", "questions",
"rubric", "low", "high"}, "questions": [their keys]}}; a task that is not there has no answer, which is a missing one.
``requirements``: {case key: text}, of cases that have one. ``passes``: how often each is asked; the mean counts.

Judges read files: pictures are written without loss to a scratch folder, and removed after the call.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any

from PIL import Image

from scoring.judging.contract import Judge, JudgeError, Reply, Request, Status
from scoring.judging.endpoint import EndpointJudge
from scoring.judging.loop import IN_A_ROW, OWN
from scoring.judging.render import CaseFacts, PromptError, PromptText, render
from training.gpu.editors import EditCase
from training.gpu.posttrain.rewarding.protocol import Judged, Reasons, Sample
from training.gpu.posttrain.rewarding.waiting import STOPPED, at_once
from webapp.endpoints.errors import EndpointError
from webapp.endpoints.http import CHAT, endpoint_named
from webapp.jobs.folder import JobError, JobStopped

HERE = ("drawn", "transformers")  # judges of training/gpu/judges; the reward model has a source of its own
MOST_PASSES = 32
PATIENCE = 300.0  # seconds without one usable answer, after which a judge in trouble is not asked again in this call


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked for a task. ``keys``: of the questions, in order."""

    task: str
    text: PromptText
    keys: tuple[str, ...]

    def rendered(self, case: EditCase, requirement: str) -> str:
        return render(self.text, CaseFacts(self.task, case.instruction, requirement))


@dataclass
class _Trouble:
    """Failures in a row of one call. A judge that is down is left alone for the rest of it."""

    row: int = 0
    since: float = field(default_factory=time.monotonic)
    note: str = ""
    lock: Lock = field(default_factory=Lock)

    @property
    def over(self) -> bool:
        return bool(self.note)

    def came(self, reply: Reply) -> None:
        with self.lock:
            if reply.status != Status.FAILED:
                self.row, self.since = 0, time.monotonic()
            elif reply.kind not in OWN:
                self.row += 1
                if self.row >= IN_A_ROW or time.monotonic() - self.since > PATIENCE:
                    self.end(reply.note)

    def end(self, note: str) -> None:
        """The first reason counts."""
        self.note = self.note or note or "The judge failed."


class JudgeSource(Reasons):
    """See protocol.Source."""

    def __init__(
        self,
        name: str,
        judge: Judge,
        prompts: Mapping[str, Prompt],
        *,
        requirements: Mapping[str, str] | None = None,
        passes: int = 1,
        scratch: Path | None = None,
    ) -> None:
        """``scratch``: an existing folder for pictures; the system's one without it."""
        super().__init__()
        self.name, self.asked, self.prompts = name, judge, prompts
        self.requirements, self.passes, self.scratch = requirements or {}, passes, scratch
        self._stopped = Event()

    def judge(self, samples: Sequence[Sample]) -> list[Judged | None]:
        with tempfile.TemporaryDirectory(prefix="judged-", dir=self.scratch) as folder:
            requests = [*self._requests(samples, Path(folder))]
            replies = self._replies([request for _place, request in requests])
        turns: dict[int, list[tuple[Request, Reply]]] = {}
        for (place, request), reply in zip(requests, replies, strict=True):
            if reply is not None:
                turns.setdefault(place, []).append((request, reply))
        return [self._judged(turns[place]) if place in turns else None for place in range(len(samples))]

    def stop(self) -> None:
        self._stopped.set()
        getattr(self.asked, "stop", lambda: None)()

    def close(self) -> None:
        self.stop()
        getattr(self.asked, "close", lambda: None)()

    # Asking ---------------------------------------------------------------------------------------------------------

    def _requests(self, samples: Sequence[Sample], folder: Path) -> Iterator[tuple[int, Request]]:
        """Each sample's place with its requests, one a pass."""
        written: dict[int, tuple[str, str]] = {}  # by the source picture's id: its file and its hash
        for place, sample in enumerate(samples):
            prompt = self.prompts.get(sample.case.task)
            if prompt is None:
                self.missing(f"The judge has no prompt for the task “{sample.case.task}”.")
                continue
            try:
                text = prompt.rendered(sample.case, self.requirements.get(sample.case.key, ""))
            except PromptError as error:
                self.missing(f"The prompt cannot be rendered: {error}")
                continue
            source = sample.case.source
            if id(source) not in written:
                written[id(source)] = _write(source, folder / f"source-{len(written)}.png")
            (before, before_hash), (after, after_hash) = (
                written[id(source)],
                _write(sample.picture, folder / f"edited-{place}.png"),
            )
            for turn in range(self.passes):
                parts = f"{text}\n{before_hash}\n{after_hash}\n{turn}"
                key = hashlib.sha256(parts.encode(errors="replace")).hexdigest()  # a judge's own noise follows from it
                scale = (prompt.text.low, prompt.text.high)
                yield place, Request(key, text, before, after, *scale, questions=prompt.keys, turn=turn)

    def _replies(self, requests: Sequence[Request]) -> list[Reply | None]:
        """None for what was not asked any more, whose reason is counted."""
        trouble = _Trouble()
        replies: list[Reply | None] = [None] * len(requests)
        ask = self._at_once if self.asked.threads else self._in_batches
        ask(requests, replies, trouble)
        found = [*replies]  # what comes too late changes nothing any more
        if left := sum(reply is None for reply in found):
            self.missing(trouble.note or STOPPED, left)
        return found

    def _at_once(self, requests: Sequence[Request], replies: list[Reply | None], trouble: _Trouble) -> None:
        waiting, lock = iter(enumerate(requests)), Lock()

        def work() -> None:
            while not (trouble.over or self._stopped.is_set()):
                with lock:
                    place, request = next(waiting, (0, None))
                if request is None:
                    return
                try:
                    (reply,) = self.asked.judge([request])
                except JudgeError as error:
                    trouble.end(str(error))
                except JobStopped:
                    return
                else:
                    trouble.came(reply)
                    replies[place] = reply

        at_once(work, min(self.asked.threads, len(requests)), self._stopped)

    def _in_batches(self, requests: Sequence[Request], replies: list[Reply | None], trouble: _Trouble) -> None:
        start = 0
        while start < len(requests) and not self._stopped.is_set():
            some = requests[start : start + max(1, self.asked.batch)]
            try:
                replies[start : start + len(some)] = self.asked.judge(some)
            except JudgeError as error:
                trouble.end(str(error))
                return
            start += len(some)

    def _judged(self, turns: Sequence[tuple[Request, Reply]]) -> Judged | None:
        """The mean of the turns that carry a score. The variance is that of their distributions mixed; unknown where
        one has none."""
        scored = [(reply.score, reply.distribution) for _request, reply in turns if reply.score is not None]
        request, reply = turns[-1]
        if not scored:
            self.missing(reply.note or f"The judge gave no score ({reply.status}).")
            return None
        mu = math.fsum(score for score, _distribution in scored) / len(scored)
        spreads = [_spread(distribution, mu) for _score, distribution in scored if distribution]
        sigma = math.sqrt(math.fsum(spreads) / len(spreads)) if len(spreads) == len(scored) else None
        return Judged(mu, sigma, float(request.low), float(request.high))


def _spread(distribution: Mapping[str, float], mean: float) -> float:
    """Mean squared distance of the digits from ``mean``."""
    return math.fsum(mass * (float(digit) - mean) ** 2 for digit, mass in distribution.items())


def _write(picture: Image.Image, path: Path) -> tuple[str, str]:
    """The picture's file, PNG with its very pixels, and their SHA-256."""
    pixels = picture.convert("RGB")
    pixels.info.clear()  # a colour profile or a turn would be applied by whoever reads the file
    pixels.save(path, "PNG", compress_level=1)
    return str(path), hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()


# Loading --------------------------------------------------------------------------------------------------------------


def load(spec: Mapping[str, Any], folder: Path) -> JudgeSource:
    """Raises JobError for a prompt that is none, and a judge that cannot be used."""
    prompts, passes = read_prompts(spec), spec.get("passes", 1)
    if type(passes) is not int or not 1 <= passes <= MOST_PASSES:
        raise JobError(f"A judge is asked 1 to {MOST_PASSES} times, not {passes!r:.50}.")
    requirements = spec.get("requirements") or {}
    if not isinstance(requirements, Mapping) or not all(isinstance(text, str) for text in requirements.values()):
        raise JobError("The requirements of the cases must be texts by the cases' keys.")
    try:
        judge = _judge(spec)
    except (JudgeError, EndpointError) as error:
        raise JobError(f"The judge “{spec['name']}” cannot be used: {error}") from None
    scratch = folder if folder.is_dir() else None
    return JudgeSource(spec["name"], judge, prompts, requirements=requirements, passes=passes, scratch=scratch)


def _judge(spec: Mapping[str, Any]) -> Judge:
    """Raises JudgeError and EndpointError."""
    settings = {**spec["settings"]}
    if spec["kind"] != "endpoint":
        from training.gpu.judges import load_judge  # with its models' libraries

        return load_judge(spec["kind"], settings)
    slug = settings.pop("endpoint", None)
    if not isinstance(slug, str) or not slug:
        raise JudgeError("Name the judge's endpoint: its short name on the page Endpoints.")
    return EndpointJudge(endpoint_named(slug, CHAT), settings)


def read_prompts(spec: Mapping[str, Any]) -> dict[str, Prompt]:
    """Raises JobError with the task whose prompt is none."""
    given = spec.get("prompt")
    if not isinstance(given, Mapping) or not given:
        raise JobError(f"The judge “{spec['name']}” has no prompt: choose one for at least one task.")
    return {task: _prompt(str(task), told) for task, told in given.items()}


def _prompt(task: str, told: Any) -> Prompt:
    try:
        values = {**told["text"], "questions": tuple(told["text"]["questions"])}
        text = PromptText(**values)
        keys = tuple(told.get("questions") or (f"q{place}" for place in range(1, len(text.questions) + 1)))
        if not all(isinstance(part, str) for part in (text.preamble, text.rubric, *text.questions, *keys)):
            raise TypeError("its texts must be strings")
        if type(text.low) is not int or type(text.high) is not int or not text.low < text.high:
            raise TypeError("its scale must be whole numbers, the lower first")
        if len(keys) != len(text.questions):
            raise TypeError("it has another number of keys than of questions")
        prompt = Prompt(str(told.get("task") or task), text, keys)
        prompt.rendered(EditCase(Image.new("RGB", (1, 1)), None, "", task), "")
    except (KeyError, TypeError, AttributeError, PromptError) as error:
        raise JobError(f"The prompt for the task “{task}” cannot be used: {error}.") from None
    return prompt
