"""Where judge and people differ most: the rows behind the points of the scatter."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Candidate, Mark
from scoring import tables
from scoring.calibration.triples import people_of
from scoring.models import Answer, Calibration, PromptVersion, Score, UnclearPoint

SHOWN = 24


@dataclass(frozen=True)
class Rating:
    """One annotator's score, by the name that exports use, with what they wrote."""

    annotator: str
    score: float
    remark: str


@dataclass(frozen=True)
class Disagreement:
    candidate: Candidate
    human: float
    scorer: float | None
    held_out: bool
    ratings: list[Rating]
    answers: list[tuple[int, str, str, str]]  # number and text of the question, the judge's answer, its reason
    reasoning: str
    status: str
    note: str
    unclear: UnclearPoint | None

    @property
    def gap(self) -> float | None:
        return None if self.scorer is None else self.scorer - self.human


def largest(calibration: Calibration, version: PromptVersion, *, start: int = 0) -> tuple[list[Disagreement], int]:
    """Of the dev part, largest first, from place ``start``; and how many there are. The held-out part stays unseen:
    whoever writes a question for what they saw there has tuned on it."""
    people = people_of(calibration)
    scorer = people.scores_of(version, calibration.judge).value
    gaps = np.where(people.held_out | ~np.isfinite(scorer), -1.0, np.abs(scorer - people.human))
    order = np.argsort(-gaps, kind="stable")
    order = order[gaps[order] >= 0]
    chosen = order[start : start + SHOWN]
    return _rows(calibration, version, people, scorer, chosen), int(order.size)


def of_candidates(calibration: Calibration, version: PromptVersion, keys: list[int]) -> list[Disagreement]:
    """The largest of these candidates, as far as they may be shown: held-out ones only once somebody has looked at that
    part."""
    people = people_of(calibration)
    scorer = people.scores_of(version, calibration.judge).value
    may = np.isin(people.candidates, keys)
    if not calibration.looks.filter(version=version).exists():
        may &= ~people.held_out
    found = np.flatnonzero(may)
    gaps = np.abs(np.nan_to_num(scorer[found] - people.human[found], nan=-1.0))
    return _rows(calibration, version, people, scorer, found[np.argsort(-gaps, kind="stable")][:SHOWN])


def _rows(
    calibration: Calibration, version: PromptVersion, people: Any, scorer: Any, chosen: NDArray[np.intp]
) -> list[Disagreement]:
    pks = [int(pk) for pk in people.candidates[chosen]]
    candidates = Candidate.objects.select_related("image", "editor", "case__source", "case__task").in_bulk(pks)
    ratings, scores = _ratings(calibration, pks), _scores(calibration, version, pks)
    unclear = {point.candidate_id: point for point in calibration.unclear_points.filter(candidate__in=pks)}
    texts = {question.key: question.text for question in version.asked}
    numbers = {question.key: number for number, question in enumerate(version.asked, start=1)}
    rows = []
    for place, pk in zip(chosen, pks, strict=True):
        answer = scores.get(pk)
        said = answer.answers if answer else []
        rows.append(
            Disagreement(
                candidate=candidates[pk],
                human=float(people.human[place]),
                scorer=float(scorer[place]) if np.isfinite(scorer[place]) else None,
                held_out=bool(people.held_out[place]),
                ratings=ratings[pk],
                answers=[
                    (numbers.get(one["question"], 0), texts.get(one["question"], ""), one["answer"], one["reason"])
                    for one in said
                ],
                reasoning=answer.reasoning if answer else "",
                status=answer.get_status_display() if answer else "",
                note=answer.note if answer else "",
                unclear=unclear.get(pk),
            )
        )
    return rows


def _ratings(calibration: Calibration, pks: list[int]) -> dict[int, list[Rating]]:
    marks = Mark.objects.filter(
        pk__in=tables.counted_marks(calibration.study)
        .filter(dimension=calibration.dimension, candidate__in=pks, score__isnull=False)
        .values("pk")
    )
    found: dict[int, list[Rating]] = defaultdict(list)
    rows = marks.order_by("judgement__annotator_id").values_list(
        "candidate", "judgement__annotator", "judgement__annotator__is_simulated", "score", "judgement__remark"
    )
    for candidate, annotator, is_simulated, score, remark in rows:
        found[candidate].append(Rating(tables.annotator_name(annotator, is_simulated), score or 0.0, remark))
    return found


def _scores(calibration: Calibration, version: PromptVersion, pks: list[int]) -> dict[int, Answer]:
    """The first pass's answer of each candidate."""
    scores = Score.objects.filter(version=version, judge=calibration.judge, candidate__in=pks)
    keys = {pk: found[0] for pk, found in scores.values_list("candidate", "keys") if found}
    answers = {answer.key: answer for answer in Answer.objects.filter(key__in=keys.values())}
    return {pk: answers[key] for pk, key in keys.items() if key in answers}
