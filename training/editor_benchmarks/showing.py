"""A benchmark of editors as a table, a radar chart and a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.utils.translation import gettext as _

from annotation.models import Editor
from annotation.models.studies import SIMULATION
from scoring.writers import Column, write_csv
from training.editor_benchmarks.comparing import Compared
from training.editor_benchmarks.exposure import Exposure, exposures
from training.editor_benchmarks.radar import Radar, radar
from training.editor_benchmarks.reading import Counts
from training.editor_benchmarks.styles import LABELS
from training.models import EditorBenchmark, Style
from training.posttraining.editor_figures import Estimate

NAME, OVERALL, CHANGE, HUMAN = "name", "overall", "change", "human"
TONES = {"better": "good", "worse": "bad"}


@dataclass(frozen=True)
class Cell:
    """A figure in words. ``tone``: a class where a change is sure."""

    text: str
    limits: str = ""
    title: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Head:
    """A column. ``query``: the address that sorts by it; ``sorted``: ascending, descending, or empty."""

    key: str
    label: Any
    query: str
    sorted: str


@dataclass(frozen=True)
class Row:
    editor: Editor
    is_base: bool
    cells: list[Cell]
    counts: Counts


def cell(one: Estimate, digits: int, signed: bool = False) -> Cell:
    if not one.known:
        return Cell("–", title=one.reason)
    form = f"{'+' if signed else ''}.{digits}f"
    limits = f"{one.low:{form}} … {one.high:{form}}" if math.isfinite(one.low) else ""
    rests = _("%(n)d cases of %(sources)d source images") % {"n": one.n, "sources": one.sources}
    title = "; ".join(filter(None, (rests, "" if limits else one.reason)))
    return Cell(f"{one.value:{form}}", limits, title, TONES.get(one.verdict, "") if signed else "")


# The table -----------------------------------------------------------------------------------------------------------


def columns_of(compared: Compared) -> list[tuple[str, Any, list[Estimate]]]:
    """Key, label and an estimate for each editor: measures, change, people, and the tasks of the first measure."""
    first, *others = compared.measures
    label = LABELS[first] if others else _("Overall")
    found: list[tuple[str, Any, list[Estimate]]] = [(OVERALL, label, [row.overall for row in compared.main])]
    found += [(name, LABELS[name], [row.overall for row in compared.plain[name]]) for name in others]
    if compared.change is not None:
        found.append((CHANGE, _("Change"), [row.overall for row in compared.change]))
    if compared.human is not None:
        found.append((HUMAN, _("People"), [row.overall for row in compared.human]))
    if compared.main and len(compared.main[0].tasks) == len(compared.found.tasks) > 1:
        for place, task in enumerate(compared.found.tasks):
            found.append((task.pk, task.name, [row.tasks[place] for row in compared.main]))
    return found


def table(compared: Compared, sort: str, common: bool) -> tuple[list[Head], list[Row]]:
    """Sorted by the column that ``sort`` names, with "-" in front from high to low; what has no figure comes last."""
    columns = columns_of(compared)
    key, down = sort.removeprefix("-"), sort.startswith("-")
    if key not in (NAME, *(name for name, _label, _values in columns)):
        key, down = OVERALL, True
    rows = [
        Row(
            editor,
            place == compared.base,
            [
                Cell(_("base"))
                if name == CHANGE and place == compared.base
                else cell(values[place], compared.scale.digits, name == CHANGE)
                for name, _label, values in columns
            ],
            compared.found.counts(place),
        )
        for place, editor in enumerate(compared.found.editors)
    ]
    told = next((values for name, _label, values in columns if name == key), None)
    numbers = [one.value for one in told] if told else [math.nan] * len(rows)
    order = sorted(range(len(rows)), key=lambda place: rows[place].editor.name.lower(), reverse=key == NAME and down)
    if key != NAME:
        sign = -1 if down else 1
        order.sort(key=lambda place: (math.isnan(numbers[place]), sign * numbers[place]))
    heads = [_head(NAME, _("Editor"), key, down, common)]
    heads += [_head(name, label, key, down, common) for name, label, _values in columns]
    return heads, [rows[place] for place in order]


def _head(name: str, label: Any, key: str, down: bool, common: bool) -> Head:
    """A column of figures sorts from high to low first, names from A."""
    first_down = name != NAME
    turned = (not down) if name == key else first_down
    query = f"?sort={'-' if turned else ''}{name}{'&set=common' if common else ''}"
    return Head(name, label, query, ("descending" if down else "ascending") if name == key else "")


def radar_of(compared: Compared, order: Sequence[Row]) -> Radar | None:
    """The base first, then the others as the table has them."""
    if not compared.main or len(compared.main[0].tasks) != len(compared.found.tasks):
        return None
    places = {row.pk: place for place, row in enumerate(compared.found.editors)}
    rows = sorted(order, key=lambda row: not row.is_base)
    series = [(row.editor.name, [one.value for one in compared.main[places[row.editor.pk]].tasks]) for row in rows]
    return radar([task.name for task in compared.found.tasks], series, compared.scale.low, compared.scale.high)


# What must be said ---------------------------------------------------------------------------------------------------


def notices_of(benchmark: EditorBenchmark, compared: Compared | None = None) -> list[str]:
    """Demo data, a demo judge, simulated annotators."""
    found = [benchmark.dataset.notice, benchmark.judge.notice if benchmark.judge else ""]
    if compared and compared.simulated:
        found.append(str(SIMULATION))
    return list(dict.fromkeys(text for text in found if text))


# The file ------------------------------------------------------------------------------------------------------------


def table_csv(benchmark: EditorBenchmark, compared: Compared) -> bytes:
    """One line an editor, figure and task, in full; the first column says what must be said of the data."""
    names = (
        *("notice", "benchmark", "style", "language", "judge", "cases", "base", "editor", "editor_notice", "figure"),
        *("task", "value", "low", "high", "n", "sources", "samples", "missing", "set_aside", "not_scored", "refused"),
        *("cases_learned_from", "cases_looked_at", "note"),
    )
    seen = exposures(benchmark, compared.found.editors)
    rows = [row for place in range(len(compared.found.editors)) for row in _lines(benchmark, compared, place, seen)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.csv"
        write_csv(path, [Column(name, "text", "") for name in names], rows)
        return path.read_bytes()


def _lines(benchmark: EditorBenchmark, compared: Compared, place: int, seen: Mapping[int, Exposure]) -> list[list[Any]]:
    editor, counts = compared.found.editors[place], compared.found.counts(place)
    base = compared.found.editors[compared.base].slug if compared.base is not None else ""
    notice, which = " ".join(notices_of(benchmark, compared)), "common" if compared.common else "all"
    judge = benchmark.judge.name if benchmark.judge else ""
    head = [notice, benchmark.name, benchmark.get_style_display(), benchmark.language, judge, which, base]
    head += [editor.slug, editor.notice]
    told: list[Any] = [counts.samples, counts.missing, counts.aside, counts.open, counts.refused]
    exposed = seen.get(editor.pk)
    told += [exposed.learned, exposed.looked] if exposed else ["", ""]
    parts = [(name, rows[place]) for name, rows in compared.plain.items()]
    parts += [("change", compared.change[place])] if compared.change and place != compared.base else []
    parts += [("people", compared.human[place])] if compared.human else []
    by_task = benchmark.style != Style.DREAM
    found = []
    for name, figures in parts:
        pairs = [("", figures.overall)]
        pairs += list(zip((task.pk for task in compared.found.tasks), figures.tasks, strict=True)) if by_task else []
        for task, one in pairs:
            numbers = ["" if math.isnan(value) else value for value in (one.value, one.low, one.high)]
            found.append([*head, name, task, *numbers, one.n, one.sources, *told, one.reason])
    return found
