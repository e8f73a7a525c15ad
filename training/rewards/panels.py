"""People of a benchmark: how well raters agree, and a scorer's correlation editor by editor, with Fisher means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from scoring.stats.bootstrap import draws
from scoring.stats.ceiling import human_ceiling
from scoring.stats.correlate import STEEPEST, is_constant, midranks, pearson
from scoring.stats.grouped import Codes, Floats
from training.rewards.estimates import Estimate, Resampling, with_interval

FEWEST = 3
NOTE = "per editor, then tanh of the mean of arctanh"


@dataclass(frozen=True, slots=True)
class Raters:
    """Scores of single people: columns (scores,) of codes of the rater, row of the candidate, score."""

    rater: Codes
    row: Codes
    score: Floats

    @classmethod
    def of(cls, said: Sequence[tuple[str, int, float]]) -> Raters:
        names = np.array([rater for rater, _row, _score in said], dtype=np.str_)
        return cls(
            np.unique(names, return_inverse=True)[1].astype(np.int64),
            np.array([row for _rater, row, _score in said], dtype=np.int64),
            np.array([score for _rater, _row, score in said], dtype=np.float64),
        )

    def ceiling(self, source: Codes, editor: Codes) -> dict[str, Any] | None:
        """Human ceiling and rater-to-rater correlation as JSON, None without raters. ``source``, ``editor``: of the
        candidates."""
        if self.score.size == 0:
            return None
        found = human_ceiling(self.rater, self.row, self.score, cluster=source, resamples=200)
        every = {**asdict(found), "rater_to_rater": self.rater_to_rater(editor)}
        return {key: _plain(value) for key, value in every.items()}

    def rater_to_rater(self, editor: Codes) -> float:
        """Spearman of every two raters on each editor's candidates, Fisher mean over pairs of raters and editors: what
        a scorer's ``panel_srcc`` is to be read beside. Undefined ones are left out."""
        found = []
        by_rater = [dict(zip(self.row[mine].tolist(), self.score[mine].tolist(), strict=True))
                    for mine in (self.rater == one for one in np.unique(self.rater))]  # fmt: skip
        for one, other in combinations(by_rater, 2):
            rows = np.array(sorted(one.keys() & other.keys()), dtype=np.int64)
            for name in np.unique(editor[rows]):
                mine = rows[editor[rows] == name].tolist()
                found.append(spearman(np.array([one[row] for row in mine]), np.array([other[row] for row in mine])))
        return fisher(found)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def spearman(x: Floats, y: Floats) -> float:
    """NaN for fewer than 3 rows or a column of one value."""
    if x.size < FEWEST or is_constant(x) or is_constant(y):
        return math.nan
    return pearson(midranks(x), midranks(y))


def fisher(r: Sequence[float]) -> float:
    """tanh of the plain mean of arctanh r, NaN left out; beyond ±0.999 it counts as that.

    The released evaluation of EditReward takes tanh of the mean of r itself, without arctanh: too low.
    """
    known = np.array([one for one in r if math.isfinite(one)])
    if known.size == 0:
        return math.nan
    return math.tanh(float(np.arctanh(np.clip(known, -STEEPEST, STEEPEST)).mean()))


def panel_srcc(mu: Floats, human: Floats, editor: Codes, source: Codes, again: Resampling) -> Estimate:
    """Spearman of score and human mean over each editor's candidates, Fisher mean over editors. All columns (n,).

    Editors of whom people say one and the same, or with fewer than 3 candidates, are skipped; one to whom the scorer
    gives one score has 0. The interval draws source images, the same for all editors.
    """
    kept = np.isfinite(human)
    mu, human, editor = mu[kept], human[kept], editor[kept]
    codes = np.unique(source[kept], return_inverse=True)[1]
    sources = int(codes.max(initial=-1)) + 1
    parts = [np.flatnonzero(editor == name) for name in np.unique(editor)]
    parts, every = [rows for rows in parts if rows.size >= FEWEST and not is_constant(human[rows])], len(parts)
    value = _over(parts, mu, human)
    found = np.full(again.resamples, np.nan)
    if parts:
        for block, weights in draws(sources, again.resamples, again.seed, mu.size):
            times = weights[:, codes].astype(np.int64)
            found[block] = [_over([np.repeat(rows, one[rows]) for rows in parts], mu, human) for one in times]
    return with_interval(value, found, sources, again, n=len(parts), skipped=every - len(parts)) if parts else Estimate(
        math.nan, math.nan, math.nan, 0, sources, every, "people judge each editor's candidates all alike", NOTE
    )  # fmt: skip


def _over(parts: Sequence[Codes], mu: Floats, human: Floats) -> float:
    return fisher([0.0 if _flat(mu[rows], human[rows]) else spearman(mu[rows], human[rows]) for rows in parts])


def _flat(mu: Floats, human: Floats) -> bool:
    return mu.size >= FEWEST and is_constant(mu) and not is_constant(human)
