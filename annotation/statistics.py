"""The tables of a data set's statistics page. A number leads to its rows: it comes with the filters that find them."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.db.models.functions import Length
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.browse import ASIDE, ENDS, KEPT, NONE, bins
from annotation.figures import figures_of, kept_for
from annotation.models import Candidate, Category, Dataset, Editor, Fault, Mark, Split, Task, Unmade, UnmadeReason

SIZES = 12  # image sizes in the table; the rest go together


@dataclass(frozen=True)
class Cell:
    """A number, and the query that lists its rows; empty where no list shows just those."""

    value: int
    query: str = ""


@dataclass(frozen=True)
class Line(Cell):
    """One line of a table with a bar. ``share``: percent of the largest line's value."""

    label: str = ""
    share: float = 0.0


def lines(rows: Iterable[tuple[str, int, str]]) -> list[Line]:
    """Lines of (label, value, query)."""
    found = list(rows)
    most = max((value for _label, value, _query in found), default=0) or 1
    return [Line(value, query, label, 100 * value / most) for label, value, query in found]


def of(dataset: Dataset) -> dict[str, Any]:
    """Everything that the page shows; of a large data set as it was at most a minute ago."""
    figures = figures_of(dataset)
    raw = kept_for(dataset, "statistics", figures.is_large, lambda: _count(dataset))
    tasks = list(Task.objects.filter(pk__in=figures.tasks))
    splits = ((str(label), figures.splits.get(value, 0), f"split={value}") for value, label in Split.choices)
    return {
        "figures": figures,
        "split_names": [str(label) for _value, label in Split.choices],
        "task_names": [task.name for task in tasks],
        "tasks": _task_table(raw["cases"], tasks),
        "categories": _category_table(raw["cases"], tasks),
        "splits": lines(splits),
        "editors": _editor_table(raw),
        "faults": [str(label) for _value, label in Fault.choices],
        "sizes": lines(_most_common(raw["sizes"])),
        "lengths": lines(_by_length(raw["lengths"])),
        "groups": lines(_of_size(size, count) for size, count in raw["groups"]),
        "judged": raw["judged"],
        "judged_share": 100 * raw["judged"] / figures.candidates if figures.candidates else 0.0,
    }


def _count(dataset: Dataset) -> dict[str, Any]:
    """The counts as plain JSON."""
    cases = dataset.cases.order_by()
    cells = cases.values_list("source__source_facts__category", "task", "split")
    candidates = Candidate.objects.filter(case__dataset=dataset).order_by()
    faults = candidates.filter(fault__gt="").values_list("editor", "fault", "fault_kept")
    unmade = Unmade.objects.filter(case__dataset=dataset).order_by().values_list("editor", "reason")
    sizes = cases.values_list("source__width", "source__height").annotate(n=Count("pk"))
    lengths = cases.annotate(length=Length("instruction")).values_list("length").annotate(n=Count("pk"))
    marks = Mark.objects.counted().filter(judgement__study__dataset=dataset)
    return {
        "cases": [list(row) for row in cells.annotate(n=Count("pk"))],
        "made": [list(row) for row in candidates.values_list("editor").annotate(n=Count("pk"))],
        "faults": [list(row) for row in faults.annotate(n=Count("pk"))],
        "unmade": [list(row) for row in unmade.annotate(n=Count("pk"))],
        "sizes": [list(row) for row in sizes],
        "lengths": [list(row) for row in lengths],
        "groups": _group_sizes(cases),
        "judged": marks.aggregate(n=Count("candidate", distinct=True))["n"],
    }


def _group_sizes(cases: Any) -> list[list[int]]:
    """[number of candidates, number of cases with so many], by the first."""
    sizes = Counter(cases.annotate(made=Count("candidates")).values_list("made", flat=True).iterator(chunk_size=5000))
    return [[size, count] for size, count in sorted(sizes.items())]


def _of_size(size: int, count: int) -> tuple[str, int, str]:
    label = ngettext("%(n)d candidate", "%(n)d candidates", size) % {"n": size}
    return label, count, f"least={size}&most={size}"


def _most_common(rows: list[list[int]]) -> list[tuple[str, int, str]]:
    ordered = sorted(rows, key=lambda row: (-row[2], row))
    rest = sum(count for _width, _height, count in ordered[SIZES:])
    found = [(f"{width} × {height}", count, f"size={width}x{height}") for width, height, count in ordered[:SIZES]]
    return found + ([(_("other sizes"), rest, "")] if rest else [])


def _by_length(rows: list[list[int]]) -> list[tuple[str, int, str]]:
    counts = [0] * (len(ENDS) + 1)
    for length, count in rows:
        counts[bisect_left(ENDS, length)] += count
    return [(label, count, f"length={value}") for (value, label), count in zip(bins(), counts, strict=True)]


def _task_table(cells: list[Any], tasks: list[Task]) -> list[tuple[list[Cell], Line]]:
    """(cases of each split, the line of all)."""
    counts = Counter[tuple[str, str]]()
    for _category, task, split, count in cells:
        counts[task, split] += count
    rows = [[Cell(counts[task.pk, split], f"task={task.pk}&split={split}") for split in Split.values] for task in tasks]
    totals = (
        (task.name, sum(cell.value for cell in row), f"task={task.pk}") for task, row in zip(tasks, rows, strict=True)
    )
    return list(zip(rows, lines(totals), strict=True))


def _category_table(cells: list[Any], tasks: list[Task]) -> list[tuple[list[Cell], Line]]:
    """(cases of each split, then of each task; the line of all), largest first, the uncategorised last."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for category, task, split, count in cells:
        counts[category or NONE].update({f"split={split}": count, f"task={task}": count, "all": count})
    names = {row.pk: row.name for row in Category.objects.filter(pk__in=counts)}
    ordered = sorted(counts, key=lambda key: (key == NONE, -counts[key]["all"], key))
    columns = [*(f"split={split}" for split in Split.values), *(f"task={task.pk}" for task in tasks)]
    rows = [[Cell(counts[key][column], f"category={key}&{column}") for column in columns] for key in ordered]
    totals = ((names.get(key, _("Uncategorised")), counts[key]["all"], f"category={key}") for key in ordered)
    return list(zip(rows, lines(totals), strict=True))


@dataclass(frozen=True)
class EditorLine:
    """What one editor made. ``aside`` and ``kept``: of those with a fault; ``faults``: set aside, by reason."""

    editor: Editor
    made: Line
    aside: Cell
    faults: list[Cell]
    kept: Cell
    failed: int
    unreadable: int

    @property
    def aside_share(self) -> float:
        return 100 * self.aside.value / self.made.value if self.made.value else 0.0


def _editor_table(raw: dict[str, Any]) -> list[EditorLine]:
    made = dict(raw["made"])
    faults: dict[int, Counter[str]] = defaultdict(Counter)
    unmade: dict[int, Counter[str]] = defaultdict(Counter)
    for editor, fault, decision, count in raw["faults"]:
        faults[editor][KEPT if decision else fault] += count
    for editor, reason, count in raw["unmade"]:
        unmade[editor][reason] += count
    editors = list(Editor.objects.filter(pk__in={*made, *unmade}))
    bars = lines((editor.name, made.get(editor.pk, 0), f"editor={editor.slug}") for editor in editors)
    return [
        EditorLine(
            editor=editor,
            made=bar,
            aside=Cell(sum(faults[editor.pk][fault] for fault in Fault.values), f"{bar.query}&fault={ASIDE}"),
            faults=[Cell(faults[editor.pk][fault], f"{bar.query}&fault={fault}") for fault in Fault.values],
            kept=Cell(faults[editor.pk][KEPT], f"{bar.query}&fault={KEPT}"),
            failed=unmade[editor.pk][UnmadeReason.FAILED],
            unreadable=unmade[editor.pk][UnmadeReason.UNREADABLE],
        )
        for editor, bar in zip(editors, bars, strict=True)
    ]
