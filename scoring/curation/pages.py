"""The values of the page of curation: a data set before and after the choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.curation.charts import Column, columns
from annotation.models import Category, Dataset, Editor, Split, Task
from scoring.curation import queries
from scoring.curation.choosing import Choice, Cut, Table, choose, one_of_each
from scoring.curation.compare import Lost, Part, Shift, distance, parts, shift
from scoring.curation.forms import CurationForm, scales
from scoring.curation.rules import EDITREWARD_KEPT, EDITREWARD_OF, How, Rule
from scoring.filtering.queries import Example, Scorer, TaskScorers
from scoring.filtering.rules import STEPS, bins
from scoring.stats.grouped import Flags


@dataclass(frozen=True)
class TaskLine:
    """One task: who scores it, its candidates, and the scores before and after. ``cut``: its own, or that of all."""

    task: Task
    scorer: Scorer | None
    candidates: int
    shift: Shift
    chart: list[Column]
    cut: Cut | None
    hints: list[str]
    query: str

    @property
    def unscored(self) -> int:
        return self.candidates - self.shift.count_before


@dataclass(frozen=True)
class Balance:
    """The shares of a set before and after. ``of``: what is counted. ``moved``: total variation distance in percent."""

    title: str
    of: str
    parts: list[Part]
    warns: bool  # of parts that lose more than their share

    @property
    def moved(self) -> float:
        return 100 * distance(self.parts)


@dataclass(frozen=True)
class Second:
    """What others than the choice's scorers say of the same candidates: their errors did not choose."""

    scorers: list[str]
    shift: Shift


@dataclass(frozen=True)
class Preview:
    """``shift``, ``chart``, ``second``: over all tasks; None where their scales differ, or nobody else has scored."""

    candidates: int
    aside: int
    scored: int
    pool: int
    kept: int
    cases: int
    kept_cases: int
    shift: Shift | None
    chart: list[Column]
    second: Second | None
    lines: list[TaskLine]
    balances: list[Balance]
    warnings: list[str]
    remarks: list[str]
    held: list[Example]
    gone: list[Example]
    notices: list[str]

    @property
    def unscored(self) -> int:
        return self.candidates - self.scored


def preview(dataset: Dataset, tasks: Sequence[TaskScorers], form: CurationForm) -> Preview | None:
    """What the form's rule would keep; None where the form has faults, or nothing is scored."""
    if not form.tasks or not form.is_valid():
        return None
    rule, scorers = form.rule(), form.scorers()
    table = queries.table_of(dataset, scorers)
    choice = choose(table, rule)
    cases, made = queries.cases_by(dataset), queries.candidates_by(dataset)
    usable = [row for row in made if not row[2]]
    there = queries.counted(usable, 0)
    lines = [_line(row.task, scorers.get(row.task.pk), table, choice, there[row.task.pk]) for row in tasks]
    balances = _balances(table, choice, cases, usable, [row.task for row in tasks])
    held, gone = (queries.examples(table, rows, scorers) for rows in queries.nearest(table, choice))
    one_scale = len(scales(scorers.values())) == 1
    return Preview(
        candidates=sum(there.values()),
        aside=sum(row[-1] for row in made if row[2]),
        scored=len(table),
        pool=int(choice.pool.sum()),
        kept=int(choice.kept.sum()),
        cases=sum(row[-1] for row in cases),
        kept_cases=len(np.unique(table.case[choice.kept])),
        shift=_shift(table, choice, np.ones(len(table), dtype=bool)) if one_scale else None,
        chart=_histogram(table, choice, next(iter(scorers.values())), slice(None)) if one_scale else [],
        second=_second(dataset, tasks, scorers, table, choice),
        lines=lines,
        balances=balances,
        warnings=_warnings(rule, balances, lines),
        remarks=_remarks(rule, choice, list(scorers.values())),
        held=held,
        gone=gone,
        notices=sorted({one.judge.notice for one in scorers.values() if one.judge.notice}),
    )


def _shift(table: Table, choice: Choice, rows: Flags) -> Shift:
    return shift(table.value[rows], choice.kept[rows], table.source[rows])


def _second(
    dataset: Dataset, tasks: Sequence[TaskScorers], scorers: Mapping[str, Scorer], table: Table, choice: Choice
) -> Second | None:
    """For each task who else scored most of it."""
    others = {
        row.task.pk: next((one for one in row.scorers if one.key != scorers[row.task.pk].key), None)
        for row in tasks
        if row.scorers
    }
    found = {task: one for task, one in others.items() if one is not None}
    if len(scales(found.values())) != 1:
        return None
    seen = queries.table_of(dataset, found)
    both = np.isin(seen.candidate, table.candidate)
    kept = np.isin(seen.candidate, table.candidate[choice.kept])
    return Second(sorted({str(one) for one in found.values()}), shift(seen.value[both], kept[both], seen.source[both]))


def _line(task: Task, scorer: Scorer | None, table: Table, choice: Choice, candidates: int) -> TaskLine:
    code = table.tasks.index(task.pk) if task.pk in table.tasks else -1
    rows = table.task == code
    cut = choice.cuts.get(task.pk, choice.cuts.get(""))
    return TaskLine(
        task=task,
        scorer=scorer,
        candidates=candidates,
        shift=_shift(table, choice, rows),
        chart=_histogram(table, choice, scorer, rows) if scorer else [],
        cut=cut,
        hints=[_tied(cut)] if cut and cut.is_by_tie and task.pk in choice.cuts else [],
        query=urlencode({"scorer": scorer.key, "task": task.pk}) if scorer else "",
    )


def _histogram(table: Table, choice: Choice, scorer: Scorer, rows: Flags | slice) -> list[Column]:
    """Scored and kept candidates by half steps of the scale; scores beyond it stand at its ends."""
    prompt = scorer.version.prompt
    scale = bins(prompt.low, prompt.high)
    numbers = np.clip(np.floor(table.value[rows] * STEPS), min(scale), max(scale)).astype(np.int64) - min(scale)
    series = [np.bincount(found, minlength=len(scale)).tolist() for found in (numbers, numbers[choice.kept[rows]])]
    return columns([one.label for one in scale.values()], series)


# Before and after ----------------------------------------------------------------------------------------------------


def _balances(
    table: Table,
    choice: Choice,
    cases: Sequence[tuple[str, str, str, int]],
    usable: Sequence[tuple[str, int, bool, int]],
    tasks: Sequence[Task],
) -> list[Balance]:
    """Tasks, categories and splits by cases, with those that nobody has scored; editors by candidates."""
    kept = np.flatnonzero(choice.kept)
    chosen = one_of_each(table.case, kept)
    editors = queries.counted(usable, 1)
    names = Editor.objects.in_bulk(list(editors))
    cells = [queries.counted(cases, place) for place in range(3)]
    known = dict(Category.objects.filter(pk__in=cells[1]).values_list("slug", "name")) | {"": _("uncategorised")}
    in_categories = _named(table.category[chosen], table.categories)
    label_of = {task.pk: task.name for task in tasks}
    split_of = {value: str(label) for value, label in Split.choices}
    editor_of = {pk: one.name for pk, one in names.items()}
    return [
        Balance(_("Tasks"), _("cases"), _parts(label_of, cells[0], _named(table.task[chosen], table.tasks)), True),
        Balance(_("Categories"), _("cases"), _parts(known, cells[1], in_categories), True),
        Balance(_("Splits"), _("cases"), _parts(split_of, cells[2], _named(table.split[chosen], table.splits)), False),
        Balance(_("Editors"), _("candidates"), _parts(editor_of, editors, Counter(table.editor[kept].tolist())), False),
    ]


def _named(codes: np.ndarray[Any, Any], names: Sequence[str]) -> Counter[Any]:
    return Counter(dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True)))


def _parts(labels: Mapping[Any, str], before: Counter[Any], after: Counter[Any]) -> list[Part]:
    """The largest part first, the one without a name last."""
    keys = sorted(before, key=lambda key: (key == "", -before[key], str(key)))
    return parts([labels[key] for key in keys], [before[key] for key in keys], [after[key] for key in keys])


# In words ------------------------------------------------------------------------------------------------------------


def _warnings(rule: Rule, balances: Sequence[Balance], lines: Sequence[TaskLine]) -> list[str]:
    """What one should know of a choice before one trains on it."""
    tasks = balances[0].parts
    if not sum(one.after for one in tasks):
        return [_("Nothing is kept.")]
    unscored = {line.task.name for line in lines if not line.shift.count_before}
    found = []
    for one in tasks:
        words = {"task": one.name, "before": one.before, "after": one.after, "fair": f"{one.fair:.0f}"}
        if one.name in unscored:
            found.append(_("“%(task)s” has no scores: none of its %(before)d cases is kept.") % words)
        elif one.lost == Lost.ALL:
            found.append(_("Nothing is left of “%(task)s”: none of its %(before)d cases is kept.") % words)
        elif one.lost == Lost.MORE:
            message = _(
                "“%(task)s” loses more than its share: %(after)d of its %(before)d cases are kept; "
                "of as many drawn by lot it would be about %(fair)s."
            )
            found.append(message % words)
    if found and rule.how in (How.EDITREWARD, How.COUNT, How.SHARE, How.THRESHOLD):
        found.append(_("To keep the balance, take the best k or the best percent of each task."))
    return found


def _remarks(rule: Rule, choice: Choice, scorers: Sequence[Scorer]) -> list[str]:
    found = []
    whole = choice.cuts.get("")
    if rule.how == How.EDITREWARD and whole:
        found.append(_editreward(whole))
    if whole and whole.is_by_tie:
        found.append(_tied(whole))
    if not rule.by_task and len({one.judge.pk for one in scorers}) > 1:
        found.append(_("Several judges score these tasks, and their candidates compete: a mild judge's task wins."))
    if not rule.by_task and any(one.knots for one in scorers):
        found.append(_("Scores compete as the judges gave them, without level maps."))
    return found


def _editreward(cut: Cut) -> str:
    words = {
        "kept": f"{EDITREWARD_KEPT:,}",
        "of": f"{EDITREWARD_OF:,}",
        "pool": f"{cut.pool:,}",
        "here": f"{cut.kept:,}",
        "share": f"{100 * EDITREWARD_KEPT / EDITREWARD_OF:.1f}",
    }
    if cut.pool >= EDITREWARD_OF:
        return _("As in the paper, the best %(kept)s are kept; %(pool)s candidates compete here.") % words
    message = _(
        "EditReward keeps %(kept)s of %(of)s. Here %(pool)s candidates compete: the same share, %(share)s %%, "
        "is %(here)s."
    )
    return message % words


def _tied(cut: Cut) -> str:
    words = {"ties": f"{cut.ties:,}", "value": f"{cut.value:.4g}", "kept": f"{cut.ties_kept:,}"}
    message = ngettext(
        "%(ties)s candidates have the lowest score that is kept, %(value)s, and %(kept)s of them is kept: "
        "by the hash of the image, which is a draw by lot.",
        "%(ties)s candidates have the lowest score that is kept, %(value)s, and %(kept)s of them are kept: "
        "by the hash of the image, which is a draw by lot.",
        cut.ties_kept,
    )
    return message % words


def page(dataset: Dataset, tasks: Sequence[TaskScorers], form: CurationForm) -> dict[str, Any]:
    return {"dataset": dataset, "tasks": tasks, "form": form, "preview": preview(dataset, tasks, form)}
