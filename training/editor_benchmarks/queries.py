"""What the pages of benchmarks of editors show."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.db.models import Count, QuerySet
from django.utils.translation import gettext_lazy

from annotation.models import Candidate, Case, Editor
from scoring.stats.grouped import Floats
from training.benchmarks.printed import tables_for
from training.editor_benchmarks import showing
from training.editor_benchmarks.comparing import Compared, compare
from training.editor_benchmarks.exposure import exposures
from training.editor_benchmarks.filling import Needs, needs_of
from training.editor_benchmarks.reading import Read, read
from training.editor_benchmarks.styles import LABELS, measures_of, scale_of
from training.models import EditorBenchmark, Style
from training.posttraining.editor_figures import by_change, changes
from webapp.jobs.models import Job

PRINTED = Path(__file__).with_name("printed.json")
GALLERY = 12  # cases on a page
MOST_ROWS = 10  # benchmarks on an editor's page
PRINTED_NAMES: dict[str, Any] = {**LABELS, "overall": gettext_lazy("Overall"), "human": gettext_lazy("People")}


def benchmarks() -> QuerySet[EditorBenchmark]:
    rows = EditorBenchmark.objects.select_related("dataset", "judge", "base", "created_by")
    return rows.annotate(taking_part=Count("editors"))


# One benchmark -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """The moving part of the page: what there is of all samples, and the jobs that make the rest."""

    samples: int
    scored: int
    without: int  # that cannot be scored: set aside, refused
    needs: Needs
    jobs: list[Job]

    @property
    def complete(self) -> bool:
        return self.samples > 0 and not self.needs.anything and not self.needs.elsewhere


def progress_of(benchmark: EditorBenchmark, found: Read) -> Progress:
    counts = [found.counts(place) for place in range(len(found.editors))]
    return Progress(
        samples=sum(one.samples for one in counts),
        scored=sum(one.scored for one in counts),
        without=sum(one.aside + one.refused for one in counts),
        needs=needs_of(benchmark, found),
        jobs=list(benchmark.jobs.select_related("created_by").order_by("pk")),
    )


def page(benchmark: EditorBenchmark, asked: Mapping[str, Any]) -> dict[str, Any]:
    """``?sort=`` names a column, ``?set=common`` takes the cases that every editor has. Some twelve queries."""
    found = read(benchmark)
    common = asked.get("set") == "common"
    compared = compare(benchmark, found, common)
    heads, rows = showing.table(compared, asked.get("sort", ""), common)
    return {
        "benchmark": benchmark,
        "compared": compared,
        "heads": heads,
        "rows": rows,
        "radar": showing.radar_of(compared, rows),
        "progress": progress_of(benchmark, found),
        "tasks": _tasks(benchmark, found),
        "left_out": benchmark.asked.get("left_out", []),
        "printed": [(table, _labels(found, table.columns)) for table in tables_for(benchmark.style, PRINTED)],
        "notices": showing.notices_of(benchmark, compared),
        "exposed": [words for one in exposures(benchmark, found.editors).values() if (words := one.words)],
        "others": [row for row in found.editors if row.pk != benchmark.base_id],
    }


def _tasks(benchmark: EditorBenchmark, found: Read) -> list[tuple[Any, Any, int, bool]]:
    """What scores each task, or each measure: its name, the version, cases, and whether it was the active scorer."""
    active = benchmark.asked.get("active", [])
    if benchmark.style == Style.HP:
        cases = Counter(case.task for case in found.cases)
        return [(task.name, found.versions.get(task.pk), cases[task.pk], task.pk in active) for task in found.tasks]
    return [(LABELS[name], version, len(found.cases), False) for name, version in found.versions.items()]


def _labels(found: Read, columns: list[str]) -> list[Any]:
    names = {task.pk: task.name for task in found.tasks}
    return [PRINTED_NAMES.get(name) or names.get(name) or name for name in columns]


# The gallery ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A case with the two editors' first images and their mean scores in it."""

    case: Case
    base: Candidate | None
    other: Candidate | None
    base_score: str
    other_score: str
    change: str


def gallery(benchmark: EditorBenchmark, other: Editor, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Cases that base and ``other`` both have, by the change: gains first, or losses with ``?up=1``. ``?after=``: the
    case's key that the page goes on after; a key that is no longer there begins anew."""
    found = read(benchmark)
    base, place = found.place_of(benchmark.base_id), found.place_of(other.pk)
    up, after = asked.get("up") == "1", asked.get("after", "")
    assert place is not None  # by the view
    means = found.means(measures_of(benchmark)[0])
    keys = [case.pk for case in found.cases]
    order = [] if base is None else by_change(changes(means, base)[place], keys, up)
    ordered = [keys[one] for one in order]
    start = ordered.index(int(after)) + 1 if after.isdecimal() and len(after) < 19 and int(after) in ordered else 0
    shown = order[start : start + GALLERY]
    digits = scale_of(benchmark, found.versions).digits
    return {
        "benchmark": benchmark,
        "other": other,
        "others": [row for row in found.editors if row.pk != benchmark.base_id],
        "up": up,
        "pairs": _pairs(found, means, (base or 0, place), shown, digits),
        "next": keys[shown[-1]] if shown and start + GALLERY < len(order) else None,
        "started": start > 0,
        "of": len(order),
        "notices": [
            *showing.notices_of(benchmark),
            *(words for words in (benchmark.base.notice if benchmark.base else "", other.notice) if words),
        ],
    }


def _pairs(found: Read, means: Floats, two: tuple[int, int], shown: list[int], digits: int) -> list[Pair]:
    """``two``: the places of base and other. Two queries."""
    base, other = two
    firsts = {(row, column): _first(found, row, column) for row in two for column in shown}
    images = Candidate.objects.select_related("image", "editor").in_bulk([pk for pk in firsts.values() if pk])
    rows = Case.objects.select_related("source", "task").in_bulk([found.cases[column].pk for column in shown])
    return [
        Pair(
            rows[found.cases[column].pk],
            images.get(firsts[base, column]),
            images.get(firsts[other, column]),
            f"{means[base, column]:.{digits}f}",
            f"{means[other, column]:.{digits}f}",
            f"{means[other, column] - means[base, column]:+.{digits}f}",
        )
        for column in shown
        if found.cases[column].pk in rows
    ]


def _first(found: Read, row: int, column: int) -> int:
    """The first of the images that have a score; several seeds have their mean shown."""
    values = next(iter(found.values.values()))[row, column]
    scored = np.flatnonzero(np.isfinite(values))
    return int(found.candidate[row, column, scored[0]]) if scored.size else 0


# An editor's page ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EditorRow:
    """A benchmark as an editor's page shows it. ``change``: against the benchmark's base, None where it is the base or
    there is none; ``sure``: "good" or "bad" where the interval leaves 0 out. ``missing``: samples without a score."""

    benchmark: EditorBenchmark
    measure: Any
    overall: showing.Cell
    change: showing.Cell | None
    missing: int
    notice: str
    exposed: str  # what the editor's training has seen of the cases; empty: nothing


def rows_of(editor: Editor) -> list[EditorRow]:
    """The newest benchmarks that an editor takes part in. Some seven queries for each."""
    rows = EditorBenchmark.objects.filter(editors=editor).select_related("dataset", "judge", "base").order_by("-id")
    return [_row(benchmark, editor) for benchmark in rows[:MOST_ROWS]]


def _row(benchmark: EditorBenchmark, editor: Editor) -> EditorRow:
    found = read(benchmark)
    compared: Compared = compare(benchmark, found, people=False)
    place = found.place_of(editor.pk)
    assert place is not None  # the benchmark was found by this editor
    counts, digits = found.counts(place), compared.scale.digits
    change = compared.change[place].overall if compared.change and place != compared.base else None
    return EditorRow(
        benchmark=benchmark,
        measure=LABELS[compared.measures[0]],
        overall=showing.cell(compared.main[place].overall, digits),
        change=showing.cell(change, digits, signed=True) if change and math.isfinite(change.value) else None,
        missing=counts.samples - counts.scored,
        notice=" ".join(showing.notices_of(benchmark)),
        exposed=" ".join(one.words for one in exposures(benchmark, [editor]).values()),
    )
