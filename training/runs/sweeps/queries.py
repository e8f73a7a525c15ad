"""Reads of sweeps: the list, the grid, curves, the table of figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from scoring.writers import csv_line
from training.models import Sweep, SweepRun, TrainedEditor
from training.runs import overlay
from training.runs.figures import Gain, Panel, gain_rows, last_gain
from training.runs.progress import read_progress, value_of
from training.runs.queries import last_look
from training.runs.settings import LABELS
from training.runs.sweeps.plan import DATASET, REWARD, Axis
from webapp.jobs.models import ACTIVE, RESUMABLE, Job, State

TABLE = 20  # runs on a page of the table
COLUMNS = (
    "run", "name", "job", "state", "rounds", "judge", "trained_on", "gain", "gain_low", "gain_high", "n",
    "cpu_seconds", "images_per_second", "missing", "trained_editor", "notice",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A run as the page shows it. ``gains``: of its last look by each judge. Figures are None until it is done."""

    run: SweepRun
    words: str
    gains: list[Gain]
    trained: TrainedEditor | None

    @property
    def job(self) -> Job:
        return self.run.job

    @property
    def number(self) -> int:
        return self.run.position + 1

    @property
    def last(self) -> Gain | None:
        return last_gain(last_look(self.job.summary))

    @property
    def learned(self) -> list[Gain]:
        return [one for one in self.gains if one.trained]

    @property
    def held_out(self) -> list[Gain]:
        return [one for one in self.gains if not one.trained]

    @property
    def cpu_seconds(self) -> float | None:
        return value_of(self.job.summary, "cpu_seconds")

    @property
    def images_per_second(self) -> float | None:
        return value_of(self.job.summary, "images_per_second")

    @property
    def missing(self) -> float | None:
        return value_of(self.job.summary, "missing")

    @property
    def missing_percent(self) -> float | None:
        return None if self.missing is None else 100 * self.missing


@dataclass(frozen=True)
class Grid:
    """``columns``: labels of the last axis where there are several, else one without a name. ``rows``: the labels of
    the other axes, and a run for each column; None where its job was deleted."""

    names: list[str]
    column: str
    columns: list[str]
    rows: list[tuple[list[str], list[Row | None]]]


def sweeps() -> QuerySet[Sweep]:
    rows = Sweep.objects.select_related("created_by")
    return rows.annotate(
        total=Count("runs"),
        done=Count("runs", filter=Q(runs__job__state=State.SUCCEEDED)),
        active=Count("runs", filter=Q(runs__job__state__in=ACTIVE)),
        failed=Count("runs", filter=Q(runs__job__state=State.FAILED)),
    )


def axes_of(sweep: Sweep) -> list[Axis]:
    return [Axis.from_json(one) for one in sweep.axes]


def axis_label(name: str) -> str:
    if name == DATASET:
        return _("Data set")
    if name == REWARD:
        return _("Reward by")
    return str(LABELS[name][0]) if name in LABELS else _("Preset")


def described(sweep: Sweep) -> list[tuple[str, str]]:
    """What differs, in words: a label and its values."""
    return [(axis_label(axis.name), ", ".join(axis.labels)) for axis in axes_of(sweep)]


def runs_of(sweep: Sweep) -> QuerySet[SweepRun]:
    return SweepRun.objects.filter(sweep=sweep).select_related("job")


def shown(sweep: Sweep, runs: Sequence[SweepRun]) -> list[Row]:
    """One query."""
    axes = axes_of(sweep)
    places = list(product(*(range(len(axis.values)) for axis in axes)))
    rows = TrainedEditor.objects.filter(job__in=[run.job_id for run in runs]).select_related("editor")
    made = {one.job_id: one for one in rows}
    found = []
    for run in runs:
        words = ", ".join(axis.words(n) for axis, n in zip(axes, places[run.position], strict=True))
        found.append(Row(run, words, gain_rows(last_look(run.job.summary)), made.get(run.job_id)))
    return found


def grid(sweep: Sweep, rows: Sequence[Row]) -> Grid:
    axes = axes_of(sweep)
    last = axes[-1] if len(axes) > 1 else None
    before = axes[:-1] if last else axes
    by_position = {row.run.position: row for row in rows}
    width = len(last.values) if last else 1
    lines = [
        (list(labels), [by_position.get(place * width + n) for n in range(width)])
        for place, labels in enumerate(product(*(axis.labels for axis in before)))
    ]
    columns = list(last.labels) if last else [_("Run")]
    return Grid([axis_label(axis.name) for axis in before], axis_label(last.name) if last else "", columns, lines)


@dataclass(frozen=True)
class Curves:
    """The curves of as many runs as there are colours. ``pages``: (number, the runs on it, whether it is this one).
    ``compare``: the query of the page that shows these runs side by side."""

    panels: list[Panel]
    pages: list[tuple[int, str, bool]]
    compare: str


def curves(rows: Sequence[Row], asked: str) -> Curves:
    """``asked``: which page of curves, from 1."""
    starts = range(0, len(rows), overlay.MOST)
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 3 else 1
    number = min(max(number, 1), max(len(starts), 1))
    chosen = rows[(number - 1) * overlay.MOST : number * overlay.MOST]
    found = [Named(row.job, f"{row.number}:", read_progress(row.job.folder), row.words) for row in chosen]
    pages = [
        (n, f"{rows[start].number} – {rows[min(start + overlay.MOST, len(rows)) - 1].number}", n == number)
        for n, start in enumerate(starts, 1)
    ]
    compare = urlencode([("run", str(row.job.uid)) for row in chosen])
    return Curves(overlay.panels(found) if found else [], pages, compare)


@dataclass(frozen=True)
class Named(overlay.Compared):
    """A run in the charts of a sweep, called by what differs."""

    words: str = ""

    @property
    def name(self) -> str:
        return f"{self.letter} {self.words}"


def page_of_sweep(sweep: Sweep, asked: Mapping[str, str]) -> dict[str, Any]:
    """The moving part, without the table. Two queries, and the events of one page of curves."""
    rows = shown(sweep, list(runs_of(sweep)))
    counts = {state: sum(row.job.state == state for row in rows) for state in State}
    return {
        "sweep": sweep,
        "axes": described(sweep),
        "grid": grid(sweep, rows),
        "one_judge": len({row.last.name for row in rows if row.last}) < 2,
        "curves": curves(rows, asked.get("curves", "")),
        "counts": [(state, state.label, counts[state]) for state in State if counts[state]],
        "total": len(rows),
        "active": sum(counts[State(state)] for state in ACTIVE),
        "stopped": sum(counts[State(state)] for state in RESUMABLE),
        "looks_differ": looks_differ(rows),
    }


def looks_differ(rows: Sequence[Row]) -> bool:
    """Whether the runs may have been looked at with other cases: these follow from the data, the tasks and the seed."""
    names = ("dataset", "tasks", "look", "seed")
    return len({repr([(row.job.config.get("data") or {}).get(name) for name in names]) for row in rows}) > 1


# CSV -----------------------------------------------------------------------------------------------------------------


def table_csv(sweep: Sweep) -> Iterator[str]:
    """A line for each run and judge of its last look; a run that was not looked at yet has one line without a judge."""
    axes = axes_of(sweep)
    yield csv_line([*COLUMNS[:4], *(axis.name for axis in axes), *COLUMNS[4:]])
    for row in shown(sweep, list(runs_of(sweep))):
        values = _labels(axes, row.run.position)
        about = [row.number, row.job.config.get("name", ""), str(row.job.uid), row.job.state, *values]
        look = last_look(row.job.summary) or {}
        after = [_number(one) for one in (row.cpu_seconds, row.images_per_second, row.missing)]
        end = [*after, row.trained.editor.slug if row.trained else "", row.job.config.get("notice", "")]
        judged: list[Gain | None] = [*row.gains]
        for gain in judged or [None]:
            yield csv_line([*about, _number(value_of(look, "round")), *_judged(gain), *end])


def _labels(axes: Sequence[Axis], position: int) -> list[Any]:
    found: list[Any] = []
    for axis in reversed(axes):
        position, n = divmod(position, len(axis.values))
        found.append(axis.labels[n] if axis.name in (DATASET, REWARD) else axis.values[n])
    return found[::-1]


def _judged(gain: Gain | None) -> list[Any]:
    if gain is None:
        return [""] * 6
    numbers = [_number(value_of(gain.told, name)) for name in ("gain", "gain_low", "gain_high", "n")]
    return [gain.name, "yes" if gain.trained else "no", *numbers]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
