"""Figures of predictions beside what people said: by dimension, of the model and of two baselines.

``training.rewards.metrics`` has the definitions; intervals are 95 %, a bootstrap over source images. ``accuracy`` is of
decided pairs, equal scores count half. ``accuracy_ties`` is of all pairs; ``tie_width``: scores nearer than that are
called a tie, and where it was chosen on these very pairs, ``tuned`` says so. ``clear``: the accuracy of those decided
pairs that people hold far apart. Candidates that are equally good are ordered by chance, and no model can follow that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scoring.stats.grouped import Codes, Floats
from training.gpu.reading import read_picture
from training.gpu.reward.batches import TrainingSet, targets_of
from training.gpu.reward.looks import Predictions
from training.rewards import metrics
from training.rewards.accuracy import Pairs, best_threshold, credit, tuned_ties, with_ties, without_ties
from training.rewards.estimates import Estimate, Resampling
from training.rewards.groups import EDGE, Group
from training.rewards.reliability import curve

SIDE = 64  # pixels to which pictures are brought for their difference
MIDDLES = 9  # quantiles tried as the best amount of change
MOST_GROUPS = 500  # of the training part are enough to choose the rule by
CLEAR = 1 / 3  # of the widest gap that a group can have
Widths = Mapping[str, float]  # by dimension


def figures(predictions: Predictions, widths: Widths | None = None) -> dict[str, dict[str, Any]]:
    """By dimension: accuracy with interval and pairs, SRCC and PLCC with the MOS (or minus the mean rank) over all
    candidates, SRCC within groups. ``widths``: of ties, from another part."""
    return of_scores(predictions, predictions.mu, widths)


def of_scores(predictions: Predictions, scores: Floats, widths: Widths | None = None) -> dict[str, dict[str, Any]]:
    """As ``figures``, of other scores (c, d) for the same candidates."""
    found = {}
    for column, dimension in enumerate(predictions.dimensions):
        width = None if widths is None else widths[dimension.key]
        row = _accuracies(_pairs(predictions, scores, column), width)
        row["clear"] = _clear(predictions, scores, column)
        items, resampling = _items(predictions, scores, column), Resampling()
        named = metrics.over_items(items, resampling) | metrics.within_groups(items, resampling)
        row |= {name: _number(named[name].value) for name in ("srcc", "plcc", "group_srcc")}
        found[dimension.key] = row | {"srcc_interval": [_number(named["srcc"].low), _number(named["srcc"].high)]}
    return found


def accuracies(predictions: Predictions) -> dict[str, dict[str, Any]]:
    """The part of ``figures`` that is quick, for looks in the middle of a training."""
    mu = predictions.mu
    return {
        one.key: _accuracies(_pairs(predictions, mu, column), None) | {"clear": _clear(predictions, mu, column)}
        for column, one in enumerate(predictions.dimensions)
    }


def calibration(predictions: Predictions) -> dict[str, Any]:
    """Reliability of P(the first is better) over the decided pairs of all dimensions, each seen from the side that the
    model prefers: {bins: [{low, high, predicted, observed, pairs}], ece, ece_low, ece_high}. Of a fused model over the
    pairs decided in total, by the chance it was trained on, with the accuracy on them: overall: {pairs, ties, accuracy,
    low, high}."""
    if predictions.total:
        total = predictions.total
        pairs = Pairs(total.lead, total.outcome, predictions.sources())
        decided = without_ties(pairs, Resampling())
        overall = {"pairs": decided.n, "ties": decided.skipped, **_told("accuracy", decided, "")}
        return _reliability(pairs, total.better) | {"overall": overall}
    said, sources = predictions.said, predictions.sources()
    outcome = (said.outcome * said.known).numpy()
    decided = outcome != 0
    source = np.broadcast_to(sources[:, None], outcome.shape)[decided]
    return _reliability(Pairs(predictions.lead()[decided], outcome[decided], source), predictions.better[decided])


def _reliability(pairs: Pairs, better: Floats) -> dict[str, Any]:
    found = curve(pairs, better, Resampling())
    bins = [
        {
            "low": _number(found.edges[place]),
            "high": _number(found.edges[place + 1]),
            "predicted": _number(found.said[place]),
            "observed": _number(found.right[place]),
            "pairs": int(found.n[place]),
        }
        for place in range(len(found.n))
        if found.n[place]
    ]
    interval = {"ece_low": _number(found.ece.low), "ece_high": _number(found.ece.high)}
    return {"bins": bins, "ece": _number(found.ece.value), **interval}


def _pairs(predictions: Predictions, scores: Floats, column: int) -> Pairs:
    said = predictions.said
    known = said.known.numpy()[:, column]
    lead = scores[said.first.numpy(), column] - scores[said.second.numpy(), column]
    return Pairs(lead[known], said.outcome.numpy()[known, column], predictions.sources()[known])


def _clear(predictions: Predictions, scores: Floats, column: int) -> dict[str, Any]:
    said = predictions.said
    far = said.gap.numpy()[said.known.numpy()[:, column], column] >= CLEAR - EDGE
    decided = without_ties(_pairs(predictions, scores, column).part(far), Resampling())
    return {"pairs": decided.n, "ties": decided.skipped, **_told("accuracy", decided, "")}


def _accuracies(pairs: Pairs, width: float | None) -> dict[str, Any]:
    decided = without_ties(pairs, Resampling())
    found: dict[str, Any] = {"pairs": decided.n, "ties": decided.skipped, **_told("accuracy", decided, "")}
    given = best_threshold(pairs.difference, pairs.outcome)[0] if width is None else width
    tied = tuned_ties(pairs, Resampling()) if width is None else with_ties(pairs, width, Resampling())
    return found | _told("accuracy_ties", tied, "ties_") | {"tie_width": given, "tuned": width is None}


def _told(name: str, found: Estimate, prefix: str) -> dict[str, Any]:
    return {name: _number(found.value), f"{prefix}low": _number(found.low), f"{prefix}high": _number(found.high)}


def _items(predictions: Predictions, scores: Floats, column: int) -> metrics.Items:
    said = predictions.said
    mos, ranks = (part.numpy()[:, column].astype(np.float64) for part in (said.mos, said.ranks))
    owner = said.owner.numpy()
    return metrics.Items(
        mu=scores[:, column],
        sigma=predictions.sigma[:, column],
        human=mos if np.isfinite(mos).any() else -ranks,
        group=owner,
        source=predictions.source_codes()[owner],
        editor=np.zeros_like(owner),
    )


# Baselines -----------------------------------------------------------------------------------------------------------


class PixelDifference:
    """Scores from x, the mean absolute difference of edit and source in 0..1, at 64 x 64 pixels: x, -x, or -|x - m|.

    For each dimension the one of the three, and the m of nine quantiles of x, that orders most pairs of the training
    part as people did.
    """

    def __init__(self, data: TrainingSet, train: Sequence[Group]) -> None:
        self.data, train = data, train[:MOST_GROUPS]
        x, said = self._amounts(train), targets_of(train, data.dimensions)
        self.chosen: dict[str, tuple[str, float]] = {}
        middles = np.quantile(x, np.linspace(0.1, 0.9, MIDDLES))
        options = [("more", 0.0), ("less", 0.0), *(("near", float(middle)) for middle in middles)]
        first, second = said.first.numpy(), said.second.numpy()
        for column, dimension in enumerate(data.dimensions):
            outcome = (said.outcome * said.known).numpy()[:, column]
            right = [_right(_by_amount(x, option), first, second, outcome) for option in options]
            self.chosen[dimension.key] = options[int(np.argmax(right))]

    def scores(self, groups: Sequence[Group]) -> Floats:
        """(candidates, dimensions)."""
        x = self._amounts(groups)
        return np.stack([_by_amount(x, self.chosen[one.key]) for one in self.data.dimensions], 1)

    def words(self) -> dict[str, str]:
        said = {"more": "more change is better", "less": "less change is better"}
        return {key: said.get(how, f"best at a change of {middle:.3f}") for key, (how, middle) in self.chosen.items()}

    def _amounts(self, groups: Sequence[Group]) -> Floats:
        return np.array([x for group in groups for x in _changes(self.data.folder, group)])


def baselines(pixels: PixelDifference, predictions: Predictions) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures by baseline and dimension, on the pairs of ``predictions``. A constant gives all candidates one score."""
    return {
        "constant": of_scores(predictions, np.zeros_like(predictions.mu)),
        "pixel-difference": of_scores(predictions, pixels.scores(predictions.groups)),
    }


def _right(scores: Floats, first: Codes, second: Codes, outcome: Codes) -> float:
    lead = (scores[first] - scores[second])[outcome != 0]
    return float(credit(lead, outcome[outcome != 0]).sum())


def _changes(folder: Path, group: Group) -> list[float]:
    source = _small(folder / group.source)
    return [float(np.abs(_small(folder / one.image) - source).mean()) for one in group.candidates]


def _small(path: Path) -> Floats:
    picture = read_picture(path, "picture").resize((SIDE, SIDE))
    return np.asarray(picture, np.float64) / 255


def _by_amount(x: Floats, option: tuple[str, float]) -> Floats:
    how, middle = option
    return x if how == "more" else -x if how == "less" else -np.abs(x - middle)


def _number(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
