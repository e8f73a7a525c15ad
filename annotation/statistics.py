"""The tables of a data set's statistics page."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.db.models.functions import Length
from django.utils.translation import gettext as _

from annotation.figures import Figures, figures_of, kept_for
from annotation.models import Candidate, Category, Dataset, Editor, Fault, Mark, Split, Task, Unmade, UnmadeReason

LENGTHS = (20, 40, 80, 160, 320)  # characters of an instruction: the upper ends of the bins
SIZES = 12  # image sizes in the table; the rest go together
UNCATEGORISED = ""


@dataclass(frozen=True)
class Line:
    """One line of a table with a bar. ``share``: percent of the largest line's value."""

    label: str
    value: int
    share: float


def lines(rows: Iterable[tuple[str, int]]) -> list[Line]:
    found = list(rows)
    most = max((value for _label, value in found), default=0) or 1
    return [Line(label, value, 100 * value / most) for label, value in found]


def of(dataset: Dataset) -> dict[str, Any]:
    """Everything that the page shows; of a large data set as it was at most a minute ago."""
    (figures,) = figures_of([dataset])
    raw = kept_for(dataset, "statistics", figures, lambda: _count(dataset))
    tasks = list(Task.objects.filter(pk__in=figures.tasks))
    return {
        "figures": figures,
        "split_names": [str(label) for _value, label in Split.choices],
        "task_names": [task.name for task in tasks],
        "tasks": _task_table(raw["cases"], tasks),
        "categories": _category_table(raw["cases"], tasks),
        "splits": lines((str(label), figures.splits.get(value, 0)) for value, label in Split.choices),
        "editors": _editor_table(figures, raw),
        "faults": [str(label) for _value, label in Fault.choices],
        "sizes": lines(_most_common(raw["sizes"])),
        "lengths": lines(_bins(raw["lengths"])),
        "groups": lines((_("%(n)d candidates") % {"n": size}, count) for size, count in raw["groups"]),
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
    sizes = cases.values_list("source__width", "source__height").annotate(n=Count("source", distinct=True))
    lengths = cases.annotate(length=Length("instruction")).values_list("length").annotate(n=Count("pk"))
    marks = Mark.objects.filter(judgement__study__dataset=dataset)
    return {
        "cases": [list(row) for row in cells.annotate(n=Count("pk"))],
        "faults": [list(row) for row in faults.annotate(n=Count("pk"))],
        "unmade": [list(row) for row in unmade.annotate(n=Count("pk"))],
        "sizes": [[f"{width} × {height}", count] for width, height, count in sizes],
        "lengths": [list(row) for row in lengths],
        "groups": _group_sizes(cases),
        "judged": marks.aggregate(n=Count("candidate", distinct=True))["n"],
    }


def _group_sizes(cases: Any) -> list[list[int]]:
    """[number of candidates, number of cases with so many], by the first."""
    sizes = Counter(cases.annotate(made=Count("candidates")).values_list("made", flat=True).iterator(chunk_size=5000))
    return [[size, count] for size, count in sorted(sizes.items())]


def _most_common(rows: list[Any]) -> list[tuple[str, int]]:
    ordered = sorted(rows, key=lambda row: (-row[1], row[0]))
    rest = sum(count for _label, count in ordered[SIZES:])
    return [(label, count) for label, count in ordered[:SIZES]] + ([(_("other sizes"), rest)] if rest else [])


def _bins(rows: list[Any]) -> list[tuple[str, int]]:
    counts = [0] * (len(LENGTHS) + 1)
    for length, count in rows:
        counts[sum(length > end for end in LENGTHS)] += count
    starts = [1, *[end + 1 for end in LENGTHS]]
    labels = [_("%(a)d to %(b)d characters") % {"a": a, "b": b} for a, b in zip(starts, LENGTHS, strict=False)]
    labels.append(_("%(a)d characters and more") % {"a": starts[-1]})
    return list(zip(labels, counts, strict=True))


def _task_table(cells: list[Any], tasks: list[Task]) -> list[tuple[str, list[int], Line]]:
    """(task, cases of each split, the line of all)."""
    counts = Counter[tuple[str, str]]()
    for _category, task, split, count in cells:
        counts[task, split] += count
    rows = [(task.name, [counts[task.pk, split] for split in Split.values]) for task in tasks]
    return [(name, row, bar) for (name, row), bar in zip(rows, lines((n, sum(r)) for n, r in rows), strict=True)]


def _category_table(cells: list[Any], tasks: list[Task]) -> list[tuple[list[int], Line]]:
    """(cases of each split, then of each task; the line of all), largest first, the uncategorised last."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for category, task, split, count in cells:
        counts[category or UNCATEGORISED].update({f"split {split}": count, f"task {task}": count, "all": count})
    names = {row.pk: row.name for row in Category.objects.filter(pk__in=[key for key in counts if key])}
    ordered = sorted(counts, key=lambda key: (key == UNCATEGORISED, -counts[key]["all"], key))
    bars = lines((names.get(key, _("Uncategorised")), counts[key]["all"]) for key in ordered)
    columns = [*(f"split {split}" for split in Split.values), *(f"task {task.pk}" for task in tasks)]
    return [([counts[key][column] for column in columns], bar) for key, bar in zip(ordered, bars, strict=True)]


@dataclass(frozen=True)
class EditorLine:
    """What one editor made. ``aside`` and ``kept``: of those with a fault; ``faults``: set aside, by reason."""

    editor: Editor
    made: int
    aside: int
    kept: int
    faults: list[int]
    failed: int
    unreadable: int
    bar: Line

    @property
    def aside_share(self) -> float:
        return 100 * self.aside / self.made if self.made else 0.0


def _editor_table(figures: Figures, raw: dict[str, Any]) -> list[EditorLine]:
    made = figures.by_editor
    faults: dict[int, Counter[str]] = defaultdict(Counter)
    kept: Counter[int] = Counter()
    unmade: dict[int, Counter[str]] = defaultdict(Counter)
    for editor, fault, decision, count in raw["faults"]:
        if decision:
            kept[editor] += count
        else:
            faults[editor][fault] += count
    for editor, reason, count in raw["unmade"]:
        unmade[editor][reason] += count
    editors = list(Editor.objects.filter(pk__in={*made, *unmade}))
    bars = lines((editor.name, made.get(editor.pk, 0)) for editor in editors)
    return [
        EditorLine(
            editor=editor,
            made=made.get(editor.pk, 0),
            aside=faults[editor.pk].total(),
            kept=kept[editor.pk],
            faults=[faults[editor.pk][fault] for fault in Fault.values],
            failed=unmade[editor.pk][UnmadeReason.FAILED],
            unreadable=unmade[editor.pk][UnmadeReason.UNREADABLE],
            bar=bar,
        )
        for editor, bar in zip(editors, bars, strict=True)
    ]
