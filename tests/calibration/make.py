"""A rated study with a prompt and a judge, for the tests of calibration, made as rows; ``rate`` goes through the
services that annotators' pages use."""

from collections.abc import Callable
from typing import Any

import numpy as np
from django.contrib.auth import get_user_model
from django.utils import timezone

from annotation.models import Assignment, Candidate, Judgement, Mark, Study
from annotation.protocols import PRESETS
from scoring.calibration.services import create_calibration
from scoring.models import Answer, Calibration, Judge, Prompt, PromptVersion, Question, Score
from tests import judging

SEED = 11


def prompt(slug: str = "hp-test", *questions: str, task: str | None = "add") -> Prompt:
    """A prompt with one version that asks these questions."""
    made = Prompt.objects.create(slug=slug, name=slug, task_id=task)
    version(made, *questions)
    return made


def version(of: Prompt, *questions: str, parent: PromptVersion | None = None, is_trial: bool = False) -> PromptVersion:
    number = of.versions.count() + 1
    made = PromptVersion.objects.create(
        prompt=of, number=number, parent=parent, preamble="Judge the edit.", rubric="5: all good.", is_trial=is_trial
    )
    Question.objects.bulk_create(
        Question(version=made, key=f"q{place}", position=place, text=text) for place, text in enumerate(questions)
    )
    return made


def judge(slug: str = "someone", kind: str = "endpoint", **settings: Any) -> Judge:
    return Judge.objects.create(slug=slug, name=slug, kind=kind, settings=settings)


def people(count: int, names: str = "rater") -> list[Any]:
    users = get_user_model().objects
    return [users.create_user(username=f"{names}{n}", password="x", role="annotator") for n in range(count)]


def rated_study(cases: int = 12, editors: int = 3, raters: int = 3, seed: int = SEED, names: str = "rater") -> Study:
    """Everybody rates everything 0 to 5: a truth of each candidate, and each rater's own error of at most one."""
    rng = np.random.default_rng(seed)
    data = judging.dataset(cases, editors)
    members = people(raters, names)
    made = judging.study(data, "hp-score", members)
    truth = {
        pk: int(rng.integers(0, 6)) for pk in Candidate.objects.filter(case__dataset=data).values_list("pk", flat=True)
    }
    for user in members:
        rated_by(made, user, lambda pk: int(np.clip(truth[pk] + rng.integers(-1, 2), 0, 5)))
    made.units.update(taken=raters, done=raters)
    return made


def rated_by(study: Study, user: Any, worth: Callable[[int], int], remark: str = "") -> None:
    """What this person's answers to everything leave behind, as rows: a hundred services' calls take a second."""
    units = list(study.units.order_by("pk").values_list("pk", "item__entries__candidate"))
    now = timezone.now()
    lent = Assignment.objects.bulk_create(
        Assignment(study=study, unit_id=unit, annotator=user, state="done", order=[pk], leased_until=now, opened_at=now)
        for unit, pk in units
    )
    given = Judgement.objects.bulk_create(
        Judgement(study=study, unit_id=one.unit_id, assignment=one, annotator=user, answer={}, seconds=1, remark=remark)
        for one in lent
    )
    Mark.objects.bulk_create(
        Mark(judgement=one, candidate_id=pk, dimension="overall", score=worth(pk))
        for one, (_unit, pk) in zip(given, units, strict=True)
    )


def rate(study: Study, user: Any, worth: Callable[[int], int], limit: int = 10_000, remark: str = "") -> int:
    def answer(assignment: Any) -> Any:
        return judging.rated({"overall": worth(assignment.order[0])}, remark=remark)

    return judging.judge(study, user, answer, limit)


def calibration(study: Study | None = None, of: Prompt | None = None, by: Any = None, **more: Any) -> Calibration:
    values = {"name": "Desk", "dimension": "overall", "judge": more.pop("judge", None) or judge(), **more}
    return create_calibration(prompt=of or prompt(), study=study or rated_study(), by=by, **values)


def scored(at: Calibration, by: PromptVersion, value: Callable[[int], float | None]) -> None:
    """Scores of every candidate of the study, made directly; None: failed."""
    rows, answers = [], []
    for pk in Candidate.objects.filter(items__study=at.study).distinct().values_list("pk", flat=True):
        found = value(pk)
        status = "failed" if found is None else "parsed"
        key = f"{by.pk}-{at.judge.pk}-{pk}"
        answers.append(Answer(key=key, judge=at.judge, status=status, score=found, cost=0.001, seconds=0.5))
        rows.append(
            Score(
                candidate_id=pk,
                version=by,
                judge=at.judge,
                value=found,
                status=status,
                read=found is not None,
                keys=[key],
            )
        )
    Answer.objects.bulk_create(answers)
    Score.objects.bulk_create(rows)


def protocol(raters: int) -> Any:
    from dataclasses import replace

    return replace(PRESETS["hp-score"], raters=raters)
