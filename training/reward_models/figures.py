"""Figures of a reward model as pages show them: tables by dimension beside the baselines, and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from training.reward_models.charts import Chart, Series, chart
from training.reward_models.progress import Progress, is_number

CONSTANT, PIXELS = "constant", "pixel-difference"
CHANCE = (0.5, 1.0)  # what an accuracy chart shows at least
DEV, TEST = "dev", "test"


@dataclass(frozen=True)
class Row:
    """A dimension's held-out figures. ``baselines``: accuracy of each, in the order of ``BASELINES``; None: not known.
    ``above``: the interval of the accuracy lies above both."""

    key: str
    label: str
    found: Mapping[str, Any]
    baselines: tuple[float | None, ...]

    @property
    def above(self) -> bool:
        low, known = self.found.get("low"), [one for one in self.baselines if one is not None]
        return is_number(low) and bool(known) and float(low) > max(known)  # type: ignore[arg-type]


def baseline_names() -> list[str]:
    return [_("Constant"), _("Pixel difference")]


def rows_of(dimensions: Sequence[Mapping[str, Any]], found: Mapping[str, Any], baselines: Any) -> list[Row]:
    """``found``: figures by dimension. ``baselines``: a function (name, dimension) -> figures. Below each dimension its
    clear pairs, where the training told them apart."""
    rows = []
    for one in dimensions:
        key, label = one["key"], one.get("label") or one["key"]
        mine, others = found.get(key) or {}, [baselines(name, key) or {} for name in (CONSTANT, PIXELS)]
        rows.append(Row(key, label, mine, tuple(other.get("accuracy") for other in others)))
        if clear := mine.get("clear"):
            levels = tuple((other.get("clear") or {}).get("accuracy") for other in others)
            rows.append(Row(f"{key}/clear", _("%(name)s, clear pairs") % {"name": label}, clear, levels))
    return rows


def tables_of(dimensions: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> list[tuple[str, str, list[Row]]]:
    """(part, its name, rows) of the held-out parts that a finished training has figures of."""
    names = {TEST: _("Test part: looked at once, at the end"), DEV: _("Dev part: it chose the step")}

    def baseline(part: str) -> Any:
        known = metrics.get("baselines") or {}
        return lambda name, key: ((known.get(name) or {}).get(part) or {}).get(key)

    return [
        (part, names[part], rows_of(dimensions, metrics[part], baseline(part))) for part in names if metrics.get(part)
    ]


def live_rows(dimensions: Sequence[Mapping[str, Any]], progress: Progress) -> list[Row]:
    """Of the best look so far."""
    found = (progress.best or {}).get("dimensions") or {}
    return rows_of(dimensions, found, lambda name, key: (progress.baselines.get(key) or {}).get(name))


# Charts --------------------------------------------------------------------------------------------------------------


def loss_chart(progress: Progress) -> Chart | None:
    terms = sorted({name for row in progress.train for name in row.get("terms") or {}})
    series = [Series(_("loss"), _curve(progress.train, "loss"))]
    for name in terms:
        points = [
            (row["step"], row["terms"][name]) for row in progress.train if is_number((row.get("terms") or {}).get(name))
        ]
        series.append(Series(name, points))
    return chart(series)


def nll_chart(progress: Progress) -> Chart | None:
    best = progress.best
    dots = [(best["step"], best["nll"])] if best else []
    return chart([Series(_("held-out NLL"), _curve(progress.held, "nll"), dots=dots)])


def norm_chart(progress: Progress) -> Chart | None:
    return chart([Series(_("gradient norm"), _curve(progress.train, "grad_norm"))])


def rate_chart(progress: Progress) -> Chart | None:
    return chart([Series(_("learning rate"), _curve(progress.train, "lr"))])


def accuracy_charts(
    dimensions: Sequence[Mapping[str, Any]], progress: Progress
) -> list[tuple[str, Chart, list[tuple[str, float]]]]:
    """For each dimension its accuracy over the looks with intervals, and the baselines as level lines."""
    charts = []
    for one in dimensions:
        looks = [(row["step"], (row.get("dimensions") or {}).get(one["key"]) or {}) for row in progress.held]
        points = [(step, found["accuracy"]) for step, found in looks if is_number(found.get("accuracy"))]
        ranges = [
            (step, found["low"], found["high"])
            for step, found in looks
            if is_number(found.get("low")) and is_number(found.get("high"))
        ]
        known = progress.baselines.get(one["key"]) or {}
        levels = [
            (label, float(known[name]["accuracy"]))
            for name, label in zip((CONSTANT, PIXELS), baseline_names(), strict=True)
            if is_number((known.get(name) or {}).get("accuracy"))
        ]
        last = points[-1][0] if points else 0
        lines = [
            Series(label, [(0, value), (last, value)], kind=f"baseline b{place}")
            for place, (label, value) in enumerate(levels)
        ]
        drawn = chart([Series(_("accuracy"), points, ranges, kind="s0"), *lines], up=CHANCE) if points else None
        if drawn:
            charts.append((one.get("label") or one["key"], drawn, levels))
    return charts


def reliability_chart(calibration: Mapping[str, Any] | None) -> Chart | None:
    """What the model says against how often it is so; the diagonal is a model that knows how sure it may be."""
    bins = [
        one
        for one in (calibration or {}).get("bins") or []
        if is_number(one.get("predicted")) and is_number(one.get("observed"))
    ]
    points = [(one["predicted"], one["observed"]) for one in bins]
    if not points:
        return None
    diagonal = Series(_("as sure as right"), [(0.5, 0.5), (1, 1)], kind="baseline b0")
    return chart([Series(_("observed"), points, dots=points, kind="s0"), diagonal], up=CHANCE, across=CHANCE)


def _curve(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(row["step"], row[name]) for row in rows if is_number(row.get(name))]
