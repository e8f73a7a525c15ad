"""Figures of benchmarks as a page, a table and a file show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.writers import Column, write_csv
from training.models import Benchmark, BenchmarkResult

NAMES = {
    "accuracy": gettext_lazy("Pairs, without ties"),
    "ties": gettext_lazy("Pairs, with ties"),
    "ties_tuned": gettext_lazy("With ties, tuned on these labels"),
    "tuples": gettext_lazy("Tuples, all right"),
    "tuples_2": gettext_lazy("Tuples, K = 2"),
    "tuples_3": gettext_lazy("Tuples, K = 3"),
    "tuples_4": gettext_lazy("Tuples, K = 4"),
    "srcc": gettext_lazy("Spearman"),
    "plcc": gettext_lazy("Pearson"),
    "panel_srcc": gettext_lazy("Spearman per editor"),
    "group_srcc": gettext_lazy("Spearman within groups"),
    "group_srcc_fisher": gettext_lazy("the same, Fisher mean"),
    "editors_srcc": gettext_lazy("Editors, Spearman"),
    "side_gap": gettext_lazy("Left − right"),
    "ece": gettext_lazy("Calibration error"),
    "nll": gettext_lazy("Negative log-likelihood"),
}
PERCENT = ("accuracy", "ties", "ties_tuned", "tuples", "tuples_2", "tuples_3", "tuples_4", "side_gap")
ALL = "_all"  # of a share in which what was not scored counts as wrong
Figure = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """A figure in words: ``title`` says what it rests on, or why there is none. ``wrong``: not scored as wrong."""

    text: str
    limits: str = ""
    title: str = ""
    wrong: str = ""


def number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f}" if name.removesuffix(ALL) in PERCENT else f"{value:.3f}"


def cell(name: str, found: Mapping[str, Figure]) -> Cell:
    one = found.get(name)
    if one is None:
        return Cell("–")
    with_all = found.get(name + ALL)
    wrong = number(name, with_all["value"]) if with_all and with_all["value"] != one["value"] else ""
    low, high = number(name, one["low"]), number(name, one["high"])
    limits = f"{low} … {high}" if one["low"] is not None else ""
    rests = _("%(n)d of %(sources)d source images") % {"n": one["n"], "sources": one["sources"]}
    words = [rests, _("%(n)d without it") % {"n": one["skipped"]} if one["skipped"] else "", one["why"], one["note"]]
    return Cell(number(name, one["value"]), limits, "; ".join(word for word in words if word), wrong)


def shown_names(results: list[BenchmarkResult], dimension: str) -> list[str]:
    """Figures that at least one scorer has, in the order of NAMES."""
    there = {name for one in results for name in figures_of(one, dimension)}
    return [name for name in NAMES if name in there]


def figures_of(result: BenchmarkResult, dimension: str) -> dict[str, Figure]:
    found: dict[str, Figure] = result.figures.get("dimensions", {}).get(dimension, {}).get("all", {})
    return found


def tasks_of(result: BenchmarkResult, dimension: str) -> dict[str, dict[str, Figure]]:
    found: dict[str, dict[str, Figure]] = result.figures.get("dimensions", {}).get(dimension, {}).get("tasks", {})
    return found


def seen(result: BenchmarkResult) -> str:
    """What must be said of a reward model that has learned from pictures of the benchmark; empty where it has not."""
    told: Mapping[str, int | None] | None = result.figures.get("seen")
    if not told or told["sources"] == 0:
        return ""
    if told["sources"] is None:
        return _("Whether it was trained on pictures of this benchmark could not be checked.")
    words = _("Trained on %(sources)d of the %(of)d source images of this benchmark: its figures flatter.")
    return words % {"sources": told["sources"], "of": told["of"]}


def table_csv(benchmark: Benchmark, results: list[BenchmarkResult]) -> bytes:
    """One line a scorer, dimension, task and figure, in full; the first column says what must be said of the data."""
    names = ("notice", "benchmark", "judge", "prompt", "dimension", "task", "figure", "value", "low", "high", "n",
             "sources", "skipped", "scored", "note")  # fmt: skip
    rows = [row for one in results for row in _lines(benchmark, one)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.csv"
        write_csv(path, [Column(name, "text", "") for name in names], rows)
        return path.read_bytes()


def _lines(benchmark: Benchmark, result: BenchmarkResult) -> list[list[Any]]:
    notice = " ".join(filter(None, (seen(result), benchmark.labelled_set.notice, result.judge.notice)))
    head = [notice, str(benchmark), str(result.judge), str(result.version)]
    found = []
    for dimension in result.figures.get("dimensions", {}):
        parts = {"": figures_of(result, dimension), **tasks_of(result, dimension)}
        for task, figures in parts.items():
            for name, one in figures.items():
                numbers = ["" if one[key] is None else one[key] for key in ("value", "low", "high")]
                counts = [one["n"], one["sources"], one["skipped"], result.scored]
                note = one["why"] or one["note"]
                found.append([*head, dimension, task, name, *numbers, *counts, note])
    return found
