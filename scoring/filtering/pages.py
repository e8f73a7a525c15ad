"""The values of the page of hard cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from annotation.curation.balance import UNCATEGORISED
from annotation.curation.charts import Column, columns
from annotation.models import Category, Dataset, Split, Task
from scoring.filtering import queries
from scoring.filtering.forms import FilterForm
from scoring.filtering.queries import Cells, Example, Scorer, TaskScorers
from scoring.filtering.rules import Rule, TaskRule, Verdict, bins
from scoring.models.answers import AnswerStatus
from scoring.stats.levelmap import LevelMap

FOOT = 78.0  # percent of a chart: its baseline; the numbers of the scale stand below


@dataclass(frozen=True)
class Bar:
    """Scores of one bin. ``query`` lists the candidates behind it. ``goes``: the whole bin is at or above the cut."""

    label: str
    value: int
    query: str
    goes: bool
    x: str
    y: str
    width: str
    height: str
    middle: str
    name: str  # below the bar; empty for every other one


@dataclass(frozen=True)
class Without:
    """Candidates of a task without a score. ``query``: empty where there is no row to show."""

    label: str
    value: int
    query: str


@dataclass(frozen=True)
class TaskLine:
    """One task: who scores it, what was said, what becomes of its cases."""

    task: Task
    scorer: Scorer | None
    threshold: float | None
    bars: list[Bar]
    without: list[Without]
    hints: list[str]
    counts: Mapping[str, int]  # cases by verdict
    query: str

    @property
    def cases(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Preview:
    """``categories``, ``splits``: (name, here, filtered)."""

    cases: int
    stays: int
    goes: int
    lines: list[TaskLine]
    counts: Mapping[str, int]
    task_chart: list[Column]
    category_before: list[Column]
    category_after: list[Column]
    categories: list[tuple[str, int, int]]
    splits: list[tuple[str, int, int]]
    dropped: list[Example]
    kept: list[Example]
    notices: list[str]


def preview(dataset: Dataset, tasks: Sequence[TaskScorers], form: FilterForm) -> Preview | None:
    """What the form's rule would do; None where the form has faults, or nothing is scored."""
    if not form.tasks or not form.is_valid():
        return None
    rule, scorers = form.rule(), form.scorers()
    cases = queries.judged_cases(dataset, rule, scorers)
    cells = queries.cells_of(cases)
    kept = [verdict.value for verdict in rule.kept]
    candidates = queries.candidates_by_task(dataset)
    lines = [_line(row.task, rule, scorers.get(row.task.pk), cells, candidates) for row in tasks]
    names = [line.task.pk for line in lines]
    counts = _verdicts(cells)
    stays = sum(counts[verdict] for verdict in kept)
    after = [sum(line.counts[verdict] for verdict in kept) for line in lines]
    categories = _categories(cells, kept)
    shown = [name for name, _before, _after in categories]
    sample = queries.sample_of(dataset)
    dropped, held = (
        queries.examples(cases, verdict, scorers, sample, counts[verdict]) if counts[verdict] else []
        for verdict in (Verdict.DROPPED, Verdict.KEPT)
    )
    apart = str(_("uncategorised"))
    return Preview(
        cases=sum(counts.values()),
        stays=stays,
        goes=sum(counts.values()) - stays,
        lines=lines,
        counts=counts,
        task_chart=columns(names, [[line.cases for line in lines], after]),
        category_before=columns(shown, [[row[1] for row in categories]], set_apart=apart),
        category_after=columns(shown, [[row[2] for row in categories]], set_apart=apart),
        categories=categories,
        splits=_splits(cells, kept),
        dropped=dropped,
        kept=held,
        notices=sorted({one.judge.notice for one in scorers.values() if one.judge.notice}),
    )


def _verdicts(cells: Cells, task: str = "") -> Counter[str]:
    counts = Counter({str(verdict): 0 for verdict in Verdict})
    for (name, _category, _split, verdict), count in cells.items():
        counts[verdict] += count if task in ("", name) else 0
    return counts


def _line(task: Task, rule: Rule, scorer: Scorer | None, cells: Cells, candidates: Mapping[str, int]) -> TaskLine:
    counts = _verdicts(cells, task.pk)
    if scorer is None:
        rest = Without(_("Not scored yet"), candidates.get(task.pk, 0), "")
        return TaskLine(task, None, None, [], [rest] if rest.value else [], [], counts, "")
    mine = rule.tasks[task.pk]
    where = {"scorer": scorer.key, "task": task.pk}
    without = [
        Without(str(label), scorer.without[status], urlencode({**where, "status": status}))
        for status, label in AnswerStatus.choices
        if scorer.without[status]
    ]
    unseen = candidates.get(task.pk, 0) - scorer.scored - sum(scorer.without.values())
    if unseen > 0:
        without.append(Without(_("Not scored yet"), unseen, ""))
    bars = _bars(scorer, mine.cut, where)
    return TaskLine(task, scorer, mine.threshold, bars, without, _hints(scorer, mine), counts, urlencode(where))


def _bars(scorer: Scorer, cut: float | None, where: Mapping[str, str]) -> list[Bar]:
    """The scores of a task by half steps of the scale; the tallest bar fills the chart."""
    prompt = scorer.version.prompt
    scale = bins(prompt.low, prompt.high)
    tallest = max((scorer.bins[number] for number in scale), default=0) or 1
    step = 100 / len(scale)
    found = []
    for place, (number, one) in enumerate(scale.items()):
        ends = {"at_least": f"{one.low:g}"} | ({} if one.high is None else {"below": f"{one.high:g}"})
        high = FOOT * scorer.bins[number] / tallest
        found.append(
            Bar(
                label=one.label,
                value=scorer.bins[number],
                query=urlencode({**where, **ends}),
                goes=cut is not None and one.low >= cut,
                x=f"{(place + 0.06) * step:.3f}%",
                y=f"{FOOT - high:.3f}%",
                width=f"{0.88 * step:.3f}%",
                height=f"{high:.3f}%",
                middle=f"{(place + 0.5) * step:.3f}%",
                name=f"{one.low:g}" if one.low.is_integer() else "",
            )
        )
    return found


def _hints(scorer: Scorer, rule: TaskRule) -> list[str]:
    """What one should know of a threshold before one trusts it."""
    prompt, found = scorer.version.prompt, []
    if rule.knots and rule.threshold is not None:
        top = max(LevelMap.from_json(rule.knots).human)
        if rule.cut is None:
            message = _("The level map ends at %(top).2f: no score means so much to people, and nothing goes.")
            found.append(message % {"top": top})
        elif rule.cut >= prompt.low:
            found.append(_("By the level map that is %(cut).2f and more on the judge's scale.") % {"cut": rule.cut})
        else:
            found.append(_("By the level map every score is so much or more: all scored cases go."))
    elif scorer.is_continuous and rule.threshold == prompt.high:
        whole = scorer.bins[prompt.high * 2]
        message = _(
            "The judge's scores are fractions, and %(n)d of %(all)d are exactly %(top)d. "
            "A threshold of %(rounded).1f drops what rounds to %(top)d."
        )
        words = {"n": whole, "all": scorer.scored, "top": prompt.high, "rounded": prompt.high - 0.5}
        found.append(message % words)
    return found


def _categories(cells: Cells, kept: Sequence[str]) -> list[tuple[str, int, int]]:
    """The most frequent first, the uncategorised last."""
    before = queries.category_counts(cells, list(Verdict))
    after = queries.category_counts(cells, kept)
    names = dict(Category.objects.filter(pk__in=before).values_list("slug", "name"))
    names[UNCATEGORISED] = _("uncategorised")
    ordered = sorted(before, key=lambda slug: (slug == UNCATEGORISED, -before[slug], slug))
    return [(names[slug], before[slug], after.get(slug, 0)) for slug in ordered]


def _splits(cells: Cells, kept: Sequence[str]) -> list[tuple[str, int, int]]:
    before, after = Counter[str](), Counter[str]()
    for (_task, _category, split, verdict), count in cells.items():
        before[split] += count
        after[split] += count if verdict in kept else 0
    return [(str(label), before[split], after[split]) for split, label in Split.choices if before[split]]


def page(dataset: Dataset, tasks: Sequence[TaskScorers], form: FilterForm) -> dict[str, Any]:
    return {"dataset": dataset, "tasks": tasks, "form": form, "preview": preview(dataset, tasks, form)}
