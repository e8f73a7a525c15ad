"""The requests of a scoring job: each candidate's rendered prompt with its two pictures, under its full key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotation.inputs import local_path
from annotation.models import Candidate
from scoring.asking.backends import Identity
from scoring.judging.contract import Request, cache_key
from scoring.judging.render import CaseFacts, PromptText, render
from scoring.models import PromptVersion


@dataclass(frozen=True, slots=True)
class Asking:
    """What a job asks. ``fresh``: a word in the key that makes old answers not count, for a check of drift."""

    text: PromptText
    questions: tuple[str, ...]
    identity: Identity
    passes: int
    fresh: str = ""

    @classmethod
    def of(cls, version: PromptVersion, identity: Identity, passes: int, fresh: str = "") -> "Asking":
        return cls(version.text, tuple(question.key for question in version.asked), identity, passes, fresh)

    def rendered(self, candidate: Candidate) -> str:
        case = candidate.case
        return render(self.text, CaseFacts(case.task.name, case.instruction, case.requirement))

    def keys(self, candidate: Candidate, text: str) -> list[str]:
        """One key for each pass."""
        settings = {**self.identity.settings, **({"fresh": self.fresh} if self.fresh else {})}
        return [
            cache_key(
                text=text,
                images=[candidate.case.source.sha256, candidate.image.sha256],
                preprocessing=self.identity.preprocessing,
                provider=self.identity.provider,
                model=self.identity.model,
                settings=settings,
                turn=turn,
            )
            for turn in range(self.passes)
        ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A candidate, the text it is asked with, and the keys of its passes."""

    candidate: Candidate
    text: str
    keys: list[str]


def wanted(asking: Asking, candidates: Sequence[Candidate]) -> list[Wanted]:
    found = []
    for candidate in candidates:
        text = asking.rendered(candidate)
        found.append(Wanted(candidate, text, asking.keys(candidate, text)))
    return found


def requests(asking: Asking, rows: Sequence[Wanted], answered: set[str], folder: Path) -> Iterator[Request]:
    """What is to be asked for these, without what was answered; equal pictures of a case are one request, which names
    all the candidates it is for."""
    open_: dict[str, tuple[Wanted, int, list[int]]] = {}
    for row in rows:
        for turn, key in enumerate(row.keys):
            if key not in answered:
                open_.setdefault(key, (row, turn, []))[2].append(row.candidate.pk)
    for key, (row, turn, candidates) in open_.items():
        yield Request(
            key=key,
            text=row.text,
            source=local_path(row.candidate.case.source.view, folder),
            edited=local_path(row.candidate.image.view, folder),
            low=asking.text.low,
            high=asking.text.high,
            questions=asking.questions,
            turn=turn,
            ref=tuple(candidates),
        )
