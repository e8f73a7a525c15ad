"""The triples of a calibration: candidates that people scored, with what the judge says by a version of the prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from annotation.models import Candidate
from annotation.protocols import Dimension
from scoring import tables
from scoring.calibration.parts import is_held_out
from scoring.models import Calibration, Judge, Method, PromptVersion, Score
from scoring.stats.ceiling import Ceiling, human_ceiling
from scoring.stats.grouped import Codes, Counts, Flags, Floats
from scoring.stats.mos import MosResult, MosSettings, mean_opinion_scores
from scoring.stats.table import Ratings

DIGITS = 9  # means of equal scores are equal, in whatever order they were added: ranks must see the tie
SETTINGS = {
    Method.MEAN: MosSettings(method="mean", outliers="none"),
    Method.CORRECTED: MosSettings(method="corrected"),
    Method.ZSCORE: MosSettings(method="zscore"),
}


@dataclass(frozen=True)
class RatingRows:
    """The scores that the means are of, after the method's own corrections and rejections: rater, row of People."""

    rater: Codes
    row: Codes
    score: Floats


@dataclass(frozen=True)
class People:
    """Human scores, one row a candidate, on the prompt's scale. ``ratings``: of each candidate. ``cluster``: its source
    image. ``ratings_made``: the single scores behind the means, for the ceiling."""

    candidates: NDArray[np.int64]
    human: Floats
    ratings: Counts
    held_out: Flags
    cluster: Codes
    ratings_made: RatingRows

    @cached_property
    def ceiling(self) -> Ceiling:
        """How well people agree among themselves, over both parts: no scorer was looked at for it."""
        made = self.ratings_made
        return human_ceiling(made.rater, made.row, made.score, cluster=self.cluster)

    def scores_of(self, version: PromptVersion, judge: Judge) -> Scores:
        rows = Score.objects.filter(version=version, judge=judge, candidate__in=self.candidates.tolist())
        known = {row[0]: row[1:] for row in rows.values_list("candidate", "value", "status")}
        found = [known.get(int(pk)) for pk in self.candidates]
        value = np.array([row[0] if row and row[0] is not None else np.nan for row in found], dtype=np.float64)
        return Scores(value, [row[1] if row else "" for row in found])


@dataclass(frozen=True)
class Scores:
    """What a judge says by a version, in the order of People: NaN where there is no score, and the status of each; an
    empty one: it was not asked yet."""

    value: Floats
    status: list[str]


def people_of(calibration: Calibration) -> People:
    """Two queries, whatever the number of ratings."""
    marks = tables.counted_marks(calibration.study).filter(dimension=calibration.dimension, score__isnull=False)
    if calibration.prompt.task_id:
        marks = marks.filter(candidate__case__task=calibration.prompt.task_id)
    table = _table(marks.order_by("id").values_list("judgement__annotator", "candidate", "score"))
    made = mean_opinion_scores(table, SETTINGS[Method(calibration.method)])
    names = table.items.to_pylist()
    pks = np.array([int(names[item]) for item in made.panel.unit_item], dtype=np.int64)
    known = np.flatnonzero(np.isfinite(made.scored.mos))
    order = known[np.argsort(pks[known])]
    sources = _sources(pks[order])
    held = [is_held_out(calibration.seed, sources[int(pk)][1], calibration.held_out) for pk in pks[order]]
    return People(
        candidates=pks[order],
        human=np.round(_on_scale(made.scored.mos[order], calibration), DIGITS),
        ratings=made.scored.n[order],
        held_out=np.array(held, dtype=bool),
        cluster=np.array([sources[int(pk)][0] for pk in pks[order]], dtype=np.int64),
        ratings_made=_made(made, order),
    )


def _table(rows: Iterable[tuple[int, int, float | None]]) -> Ratings:
    return Ratings.from_rows((str(annotator), str(candidate), "score", score) for annotator, candidate, score in rows)


def _made(made: MosResult, order: Codes) -> RatingRows:
    """The rows of the units that became candidates, by their place among them."""
    values = made.scored.values
    place = np.full(values.units, -1, dtype=np.int64)
    place[order] = np.arange(order.size)
    rows = place[values.unit] >= 0
    return RatingRows(values.rater[rows], place[values.unit[rows]], values.score[rows])


def _sources(candidates: NDArray[np.int64]) -> dict[int, tuple[int, str]]:
    rows = Candidate.objects.filter(pk__in=candidates.tolist())
    return {pk: (source, sha) for pk, source, sha in rows.values_list("pk", "case__source", "case__source__sha256")}


def _on_scale(scores: Floats, calibration: Calibration) -> Floats:
    """From the study's scale, or 0 to 100 of z-scores, onto the prompt's by a straight line."""
    low, high = scale_of(calibration)
    prompt = calibration.prompt
    return prompt.low + (scores - low) * (prompt.high - prompt.low) / (high - low)


def scale_of(calibration: Calibration) -> tuple[float, float]:
    """The ends of the scale of the human scores, before they are drawn onto the prompt's."""
    if calibration.method == Method.ZSCORE:
        return 0.0, 100.0
    dimension = dimension_of(calibration)
    return dimension.low, dimension.high


def dimension_of(calibration: Calibration) -> Dimension:
    return calibration.study.protocol.dimension(calibration.dimension)


def rated_count(calibration: Calibration) -> int:
    """Candidates with a human score; one query."""
    marks = tables.counted_marks(calibration.study).filter(dimension=calibration.dimension)
    if calibration.prompt.task_id:
        marks = marks.filter(candidate__case__task=calibration.prompt.task_id)
    return marks.filter(score__isnull=False).values("candidate").distinct().count()
