"""What the pages of benchmarks show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from training.benchmarks import printed, reading
from training.benchmarks.services import LAYOUTS, label_of
from training.benchmarks.showing import NAMES, PERCENT, Cell, cell, figures_of, number, seen, shown_names, tasks_of
from training.models import Benchmark, BenchmarkResult
from training.rewards.layouts import layout
from training.rewards.protocols import MAIN

CEILING = (  # names of the human ceiling's figures, and what they are
    ("ceiling", gettext_lazy("The most that a scorer can reach against the mean of these raters")),
    ("reliability", gettext_lazy("Two panels of this size with each other")),
    ("leave_one_out", gettext_lazy("One rater against the mean of the others")),
    ("rater_to_rater", gettext_lazy("Two raters, Spearman per editor")),
)
PRINTED_NAMES = {**NAMES, "left": gettext_lazy("Left"), "right": gettext_lazy("Right")}


@dataclass(frozen=True)
class Block:
    """A table of scorers in one dimension, with the scorers that know nothing below them."""

    title: str
    names: list[Any]
    rows: list[Row]
    baselines: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Row:
    """A scorer in one dimension. ``seen``: a warning where it has learned from pictures of this benchmark."""

    result: BenchmarkResult
    cells: list[Cell]
    coverage: str
    stale: bool
    seen: str


def benchmarks() -> QuerySet[Benchmark]:
    rows = Benchmark.objects.select_related("labelled_set", "created_by", "job")
    return rows.defer("facts", "labelled_set__facts", "labelled_set__origin").annotate(scorers=Count("results"))


def page(benchmark: Benchmark, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Everything on a benchmark's page; ``?dimension=`` chooses what the tables are about."""
    dimensions = reading.dimensions_of(benchmark.labelled_set)
    keys = [one.key for one in dimensions]
    chosen = asked.get("dimension", "") if asked.get("dimension", "") in keys else keys[0]
    results = results_of(benchmark)
    protocol = reading.protocol_of(benchmark)
    return {
        "benchmark": benchmark,
        "labelled_set": benchmark.labelled_set,
        "layout": label_of(benchmark.layout) if benchmark.layout else "",
        "protocol": protocol,
        "dimensions": dimensions,
        "dimension": next(one for one in dimensions if one.key == chosen),
        "blocks": _blocks(benchmark, results, chosen),
        "votes": benchmark.facts.get("votes", {}).get(chosen),
        "ceiling": _ceiling(benchmark, chosen),
        "tasks": _tasks(results, chosen),
        "task_names": [NAMES[name] for name in _main(results, chosen)],
        "printed": _printed(benchmark.layout),
        "notices": sorted({text for text in (benchmark.labelled_set.notice, *(one.judge.notice for one in results))
                           if text}),
    }  # fmt: skip


def _blocks(benchmark: Benchmark, results: list[BenchmarkResult], dimension: str) -> list[Block]:
    """Shares, and then correlations: one table would be too wide. Without figures the first one still names who ran."""
    stale, there = _stale(benchmark, results), shown_names(results, dimension)
    halves = [(_("Pairs and tuples"), [name for name in there if name in PERCENT]),
              (_("Correlations"), [name for name in there if name not in PERCENT])]  # fmt: skip
    return [
        Block(
            title=title,
            names=[NAMES[name] for name in names],
            rows=[_row(one, [cell(name, figures_of(one, dimension)) for name in names], stale) for one in results],
            baselines=_baselines(benchmark, dimension, names),
        )
        for place, (title, names) in enumerate(halves)
        if names or place == 0
    ]  # fmt: skip


def _row(result: BenchmarkResult, cells: list[Cell], stale: set[int]) -> Row:
    return Row(result, cells, _coverage(result), result.pk in stale, seen(result))


def _baselines(benchmark: Benchmark, dimension: str, names: list[str]) -> list[tuple[str, list[str]]]:
    told = ((_("One score for all"), "constant"), (_("Random scores"), "random"))
    found = [(label, benchmark.facts.get(key, {}).get(dimension, {})) for label, key in told]
    return [(label, [number(name, one.get(name)) for name in names]) for label, one in found if names and one]


def results_of(benchmark: Benchmark) -> list[BenchmarkResult]:
    rows = benchmark.results.select_related("version__prompt", "judge", "job", "benchmark__labelled_set")
    return list(rows.order_by("judge__name", "pk"))


def _coverage(result: BenchmarkResult) -> str:
    told = result.figures.get("coverage")
    return f"{100 * told['scored'] / told['candidates']:.1f}" if told and told["candidates"] else "–"


def _stale(benchmark: Benchmark, results: list[BenchmarkResult]) -> set[int]:
    """Results whose scorer has scores in the benchmark's data sets that are newer than what was read. One query."""
    computed = [one for one in results if one.figures]
    if not computed:
        return set()
    news = reduce(or_, (_news(one) for one in computed))
    changed = set(reading.scores_on(benchmark).filter(news).values_list("version", "judge").distinct())
    return {one.pk for one in computed if (one.version_id, one.judge_id) in changed}


def _news(result: BenchmarkResult) -> Q:
    read = result.figures.get("read", result.updated_at.isoformat())  # figures of an older version say nothing of it
    mine = Q(version=result.version_id, judge=result.judge_id)
    return mine & Q(updated_at__gt=datetime.fromisoformat(read)) if read else mine


def _ceiling(benchmark: Benchmark, dimension: str) -> list[tuple[Any, str]]:
    told = benchmark.facts.get("ceiling", {}).get(dimension)
    return [(label, number("", told[name])) for name, label in CEILING] if told else []


def _main(results: list[BenchmarkResult], dimension: str) -> list[str]:
    return [name for name in shown_names(results, dimension) if name in MAIN or f"{name}_all" in MAIN]


def _tasks(results: list[BenchmarkResult], dimension: str) -> list[tuple[BenchmarkResult, str, list[Cell]]]:
    names = _main(results, dimension)
    return [
        (one, task, [cell(name, figures) for name in names])
        for one in results
        for task, figures in tasks_of(one, dimension).items()
    ]


def _printed(name: str) -> list[tuple[printed.Table, list[Any]]]:
    return [(table, [PRINTED_NAMES[column] for column in table.columns]) for table in printed.tables_for(name)]


def layouts() -> list[tuple[str, str]]:
    """What each layout's folder must hold, in words."""
    return [(found.LABEL, found.ABOUT) for found in map(layout, LAYOUTS)]
