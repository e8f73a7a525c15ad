"""Who proposes the next question: a language model at an endpoint, or the known questions of the drawn world."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import json_repair
from django.utils.translation import gettext as _

from annotation.instructions.asking import NoUse, picture
from drawnworld.edits import TASKS
from drawnworld.questions import recognise, suggestions
from scoring.calibration.disagreements import Disagreement
from scoring.judging.replies import clean
from scoring.models import PromptVersion
from webapp.endpoints.http import Client, user_message

DRAWN = "drawn"
LONGEST = 400  # characters of a proposed question
PICTURES = 4  # disagreements that are shown with their pictures
TOLD = 12  # disagreements that are told in words

ASK = """\
A judge scores edits of pictures from {low} to {high} by a scoring prompt. Its scores are to agree with those of \
people. Below are the prompt's questions and the edits on which judge and people differ most. Propose ONE new \
question for the prompt that would bring the judge nearer to people on edits like these. It must be answerable with \
yes, partly or no by looking at picture A (the source) and picture B (the edit); it must be about one thing; yes must \
speak for the edit; it must not repeat a question that is there, and not name what is in these particular pictures.

# Task
{task}

# Rubric
{rubric}

# Questions now
{questions}

# Where judge and people differ most
{cases}

The pictures are A and B of the first {pictures} of these, in order.

Answer with one JSON object and nothing else: {{"question": "...", "reason": "one sentence on what people see here \
that the judge does not"}}"""


class NoProposal(Exception):
    """Nothing was proposed; the message says why in the user's words. ``cost``: what was paid all the same."""

    def __init__(self, sentence: str, cost: float | None = 0.0) -> None:
        super().__init__(sentence)
        self.cost = cost


@dataclass(frozen=True, slots=True)
class Proposal:
    text: str
    reason: str
    source: str  # who proposes, as people are told
    cost: float | None = 0.0


def from_known(version: PromptVersion, tried: Sequence[str]) -> Proposal:
    """The next known question of the drawn world that neither the version asks nor anybody tried in its place."""
    task = version.prompt.task_id or ""
    if task not in TASKS:
        raise NoProposal(_("There are no known questions for the task of this prompt."))
    asked = [question.text for question in version.questions.all()]
    taken = {family.key for text in (*asked, *tried) if (family := recognise(text))}
    for key, text in suggestions(task):
        if key not in taken:
            return Proposal(text, _("A known question of the drawn world."), _("known questions of the drawn world"))
    raise NoProposal(_("All known questions of the drawn world for this task are asked or tried already."))


def from_model(client: Client, version: PromptVersion, rows: Sequence[Disagreement], tried: Sequence[str]) -> Proposal:
    """Ask a chat endpoint. Raises EndpointError, and NoProposal for an answer that is none."""
    if not rows:
        raise NoProposal(_("There is no disagreement to learn from: nothing is scored on the dev part."))
    try:
        images = [
            picture(image) for row in rows[:PICTURES] for image in (row.candidate.case.source, row.candidate.image)
        ]
    except NoUse as error:
        raise NoProposal(str(error)) from None
    answer = client.chat([user_message(words(version, rows, tried), images)], as_json=True)
    text, reason = read(answer.text, answer.cost)
    known = {_plain(question.text) for question in version.questions.all()} | {_plain(one) for one in tried}
    if _plain(text) in known:
        raise NoProposal(_("The model repeats a question: “%(text)s”") % {"text": text}, answer.cost)
    return Proposal(text, reason, clean(answer.model, 200), answer.cost)


def words(version: PromptVersion, rows: Sequence[Disagreement], tried: Sequence[str]) -> str:
    """The request's text. Of the people nothing is told but scores and remarks."""
    questions = [f"{number}. {question.text}" for number, question in enumerate(version.asked, start=1)]
    questions += [f"(tried and not kept: {text})" for text in tried]
    cases = [
        json.dumps(
            {
                "instruction": row.candidate.case.instruction,
                "people": round(row.human, 2),
                "judge": None if row.scorer is None else round(row.scorer, 2),
                "remarks": [one.remark[:300] for one in row.ratings if one.remark][:5],
                "judge_says": row.reasoning[:500],
            },
            ensure_ascii=False,
        )
        for row in rows[:TOLD]
    ]
    return ASK.format(
        low=version.prompt.low,
        high=version.prompt.high,
        task=version.prompt.task or "any edit",
        rubric=version.rubric,
        questions="\n".join(questions) or "(none yet)",
        cases="\n".join(cases),
        pictures=min(PICTURES, len(rows)),
    )


def read(text: str, cost: float | None = 0.0) -> tuple[str, str]:
    """Question and reason of an answer. Raises NoProposal."""
    try:
        value: Any = json_repair.loads(text[:20_000])
    except (ValueError, RecursionError):
        value = None
    question = value.get("question") if isinstance(value, dict) else None
    if not isinstance(question, str) or not 10 <= len(question.strip()) <= LONGEST or "{" in question:
        raise NoProposal(_("The model's answer holds no question that could be asked."), cost)
    reason = value.get("reason")
    return " ".join(clean(question, LONGEST).split()), " ".join(clean(reason, 1000).split())


def _plain(text: str) -> str:
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text.casefold()).split())
