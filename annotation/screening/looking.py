"""One look at annotators: their work and scores beside the others'. Reads nothing: the columns are given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from statistics import median

import numpy as np

from annotation.models import Study
from annotation.protocols import RATING
from annotation.screening import rules
from annotation.screening.columns import Work
from annotation.screening.rules import Finding, Scores


@dataclass
class Look:
    """``since``: by annotator and kind, when a person last decided on it. ``medians``: each person's usual time."""

    study: Study
    work: Mapping[int, Work]
    scores: Scores
    since: Mapping[tuple[int, str], datetime]
    medians: Mapping[int, float]

    def findings(self, annotators: Iterable[int]) -> Iterator[tuple[int, Finding]]:
        for annotator in annotators:
            for finding in (*self._behaviour(annotator), *self._beside_others(annotator)):
                if finding:
                    yield annotator, finding

    def _behaviour(self, annotator: int) -> Iterator[Finding | None]:
        settings, work = self.study.protocol.checks, self.work.get(annotator, Work())
        yield rules.straight_lining(work.said(self.since.get((annotator, "straight"))), run=settings.straight_run)
        if not work.is_simulated:  # a program takes no time
            yield rules.hasty(
                work.times(self.since.get((annotator, "speed"))),
                [one for pk, one in self.medians.items() if pk != annotator],
                least_seconds=settings.least_seconds,
                allowed=settings.allowed,
                least=settings.least,
            )

    def _beside_others(self, annotator: int) -> Iterator[Finding | None]:
        for kind in ("reversed", "random"):
            found = rules.against_others(
                *self.beside.correlation(annotator, self._after(annotator, kind)), self.typical(annotator)
            )
            yield found if found and found.kind == kind else None
        if self.study.protocol.kind == RATING:
            mine = self._residuals[self.beside.of(annotator, self._after(annotator, "outliers"))]
            yield rules.outlying(mine, rules.spread_of(self._residuals))

    def _after(self, annotator: int, kind: str) -> float:
        last = self.since.get((annotator, kind))
        return last.timestamp() if last else -math.inf

    @cached_property
    def beside(self) -> rules.Beside:
        return self.scores.beside_others()

    @cached_property
    def correlations(self) -> dict[int, tuple[float, int]]:
        """Of each annotator, with the number of free values: see ``Beside.correlation``."""
        return {int(one): self.beside.correlation(int(one)) for one in np.unique(self.beside.annotator)}

    @cached_property
    def _residuals(self) -> rules.Floats:
        return self.beside.residuals()

    def typical(self, annotator: int) -> float:
        """The median correlation of the other annotators who have enough scores; NaN where there are none."""
        others = [r for pk, (r, n) in self.correlations.items() if pk != annotator and n >= rules.LEAST_PAIRED]
        known = [r for r in others if math.isfinite(r)]
        return median(known) if known else math.nan
