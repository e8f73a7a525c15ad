"""The values of the duplicates and the balance page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotation.curation import queries
from annotation.curation.balance import UNCATEGORISED, Cells, Shortage, allocate, shortages
from annotation.curation.charts import Column, columns
from annotation.curation.forms import BalanceForm
from annotation.models import Category, Dataset, Split, StoredImage, Task

GROUPS, SHOWN = 20, 12  # groups on a page, images of one group


@dataclass(frozen=True)
class Group:
    images: list[StoredImage]
    more: int
    splits: list[str]
    is_divided: bool


def duplicates(dataset: Dataset, *, divided: bool, after: str) -> dict[str, Any]:
    """Groups of near-duplicates, by key; ``divided``: only those with cases in two splits."""
    found = queries.near_duplicates(dataset)
    wanted = [group for group in found if group.is_divided or not divided]
    last = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
    rest = [group for group in wanted if group.key > last]
    page = rest[:GROUPS]
    images = StoredImage.objects.in_bulk([image for group in page for image in group.images[:SHOWN]])
    names = dict(Split.choices)
    return {
        "groups": [
            Group(
                [images[image] for image in group.images[:SHOWN]],
                max(0, len(group.images) - SHOWN),
                [str(names[Split(split)]) for split in group.splits],
                group.is_divided,
            )
            for group in page
        ],
        "count": len(found),
        "divided_count": sum(group.is_divided for group in found),
        "only_divided": divided,
        "next": f"?after={page[-1].key}{'&divided=1' if divided else ''}" if len(rest) > GROUPS else "",
        "figures": queries.source_figures(dataset),
    }


@dataclass(frozen=True)
class Preview:
    """What a recipe would draw. ``tasks``: (name, there, target, drawn, of these uncategorised)."""

    cases: int
    drawn: int
    tasks: list[tuple[str, int, int, int, int]]
    shortages: list[tuple[str, Shortage]]
    task_chart: list[Column]
    category_before: list[Column]
    category_after: list[Column]
    categories: list[tuple[str, int, int]]


def preview(form: BalanceForm) -> Preview | None:
    """The preview of a form that was sent and has no fault, or of the form as it is at first. Three queries."""
    if form.is_bound and not form.is_valid():
        return None
    if not form.is_bound:
        form = BalanceForm({name: field.initial for name, field in form.fields.items()}, supply=form.supply)
        if not form.is_valid():
            return None
    recipe, supply = form.recipe(), form.supply
    plan = allocate(supply, recipe.targets, recipe.share, recipe.seed)
    tasks = dict(Task.objects.values_list("slug", "name"))
    before, after = _by_category(supply), _by_category(plan)
    shown = [slug for slug in tasks if slug in supply or recipe.targets.get(slug)]
    rows = [_task_row(slug, tasks[slug], supply, recipe.targets, plan) for slug in shown]
    names = _names(before)
    lines = [(names[slug], count, after.get(slug, 0)) for slug, count in before.items()]
    named = [name for name, _before, _after in lines]
    return Preview(
        cases=sum(before.values()),
        drawn=sum(after.values()),
        tasks=rows,
        shortages=[(tasks.get(one.task, one.task), one) for one in shortages(supply, recipe.targets, plan)],
        task_chart=columns(shown, [[row[1] for row in rows], [row[3] for row in rows]]),
        category_before=columns(named, [[line[1] for line in lines]], set_apart=names[UNCATEGORISED]),
        category_after=columns(named, [[line[2] for line in lines]], set_apart=names[UNCATEGORISED]),
        categories=lines,
    )


def _task_row(
    slug: str, name: str, supply: Cells, targets: Mapping[str, int], plan: Cells
) -> tuple[str, int, int, int, int]:
    cells = plan.get(slug, {})
    there, drawn = sum(supply.get(slug, {}).values()), sum(cells.values())
    return name, there, targets.get(slug, 0), drawn, cells.get(UNCATEGORISED, 0)


def _by_category(cells: Cells) -> dict[str, int]:
    """Cases of each category over all tasks, the most frequent first and the uncategorised last."""
    counts: dict[str, int] = {}
    for row in cells.values():
        for slug, count in row.items():
            counts[slug] = counts.get(slug, 0) + count
    return dict(sorted(counts.items(), key=lambda item: (item[0] == UNCATEGORISED, -item[1], item[0])))


def _names(counts: Mapping[str, int]) -> dict[str, str]:
    names = dict(Category.objects.filter(pk__in=counts).values_list("slug", "name"))
    return {**names, UNCATEGORISED: _("uncategorised")}
