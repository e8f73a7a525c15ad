"""Reads of prompts and their versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.models import Case, Task
from scoring.judging.render import CaseFacts, PromptError, render
from scoring.models import Activation, Prompt, PromptVersion
from scoring.prompts.diffs import ADDED, CHANGED, MOVED, REMOVED, SWITCHED_OFF, SWITCHED_ON, Diff, diff
from scoring.prompts.services import draft_of

NEWEST = 50
MADE = Q(versions__is_trial=False)  # by a person


@dataclass(frozen=True)
class PromptRow:
    """A prompt in the list, with the versions that are a task's active scorer."""

    prompt: Prompt
    newest: int
    versions: int
    active: list[Activation]


def prompts(task: str = "") -> QuerySet[Prompt]:
    """All, or those of one task by its slug; annotated with ``newest`` and ``made``."""
    found = Prompt.objects.select_related("task")
    if task:
        found = found.filter(task=task)
    return found.annotate(newest=Max("versions__number", filter=MADE), made=Count("versions", filter=MADE))


def rows_of(found: list[Any]) -> list[PromptRow]:
    """``found``: rows of ``prompts``."""
    active = active_of(found)
    return [PromptRow(one, one.newest, one.made, active[one.pk]) for one in found]


def active_of(found: Iterable[Prompt]) -> dict[int, list[Activation]]:
    """By a prompt's key: its activations that have not ended."""
    rows: dict[int, list[Activation]] = defaultdict(list)
    open_ones = Activation.objects.filter(version__prompt__in=list(found), ended_at=None)
    for row in open_ones.select_related("version__prompt", "task", "judge").order_by("id"):
        rows[row.version.prompt_id].append(row)
    return rows


def tasks_with_prompts() -> QuerySet[Task]:
    return Task.objects.filter(prompts__isnull=False).distinct()


# Versions ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VersionRow:
    version: PromptVersion
    changes: str
    active: list[Activation]


def versions(prompt: Prompt, *, trials: bool) -> QuerySet[PromptVersion]:
    """With all that a row of the list needs, whatever the number of rows."""
    found = PromptVersion.objects.filter(prompt=prompt).select_related("prompt", "author", "parent__prompt")
    if not trials:
        found = found.filter(is_trial=False)
    return found.prefetch_related("questions", "parent__questions")


def version_rows(prompt: Prompt, found: list[PromptVersion]) -> list[VersionRow]:
    active = active_of([prompt])[prompt.pk]
    return [
        VersionRow(
            version,
            summary(diff(draft_of(version.parent), draft_of(version))) if version.parent else "",
            [row for row in active if row.version_id == version.pk],
        )
        for version in found
    ]


def version_of(prompt: Prompt, number: int) -> PromptVersion | None:
    return versions(prompt, trials=True).filter(number=number).first()


def newest_of(prompt: Prompt) -> PromptVersion | None:
    return versions(prompt, trials=False).order_by("number").last()


def page_of_version(version: PromptVersion, other: PromptVersion | None) -> dict[str, Any]:
    """``other``: what it is compared with; its parent where it is None."""
    against = other or version.parent
    return {
        "version": version,
        "prompt": version.prompt,
        "questions": _numbered(version),
        "against": against,
        "diff": diff(draft_of(against), draft_of(version)) if against else None,
        "others": versions(version.prompt, trials=False).exclude(pk=version.pk).order_by("-number")[:NEWEST],
        "active": [row for row in active_of([version.prompt])[version.prompt_id] if row.version_id == version.pk],
        "children": version.children.filter(is_trial=False).select_related("prompt")[:NEWEST],
        "preview": preview(version),
    }


def _numbered(version: PromptVersion) -> list[tuple[int | None, Any]]:
    """Each question with the number under which it is asked; None for one that is switched off."""
    numbers = {row.pk: number for number, row in enumerate(version.asked, start=1)}
    return [(numbers.get(row.pk), row) for row in version.questions.all()]


def summary(found: Diff) -> str:
    """What changed, in a line."""
    counts = {kind: sum(kind in row.kinds for row in found.rows) for kind in (ADDED, REMOVED, CHANGED, MOVED)}
    switched = {kind: sum(kind in row.kinds for row in found.rows) for kind in (SWITCHED_ON, SWITCHED_OFF)}
    parts = [
        (counts[ADDED], ngettext("%d question added", "%d questions added", counts[ADDED])),
        (counts[REMOVED], ngettext("%d question taken away", "%d questions taken away", counts[REMOVED])),
        (counts[CHANGED], ngettext("%d question reworded", "%d questions reworded", counts[CHANGED])),
        (counts[MOVED], ngettext("%d question moved", "%d questions moved", counts[MOVED])),
        (switched[SWITCHED_ON], ngettext("%d question switched on", "%d questions switched on", switched[SWITCHED_ON])),
        (
            switched[SWITCHED_OFF],
            ngettext("%d question switched off", "%d questions switched off", switched[SWITCHED_OFF]),
        ),
    ]
    words = [text % number for number, text in parts if number]
    words += [_("preamble changed")] if found.preamble_changed else []
    words += [_("rubric changed")] if found.rubric_changed else []
    return ", ".join(words)


# The text that a judge reads -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """``case`` is None where there is none yet and the facts are an example; ``problem`` says why there is no text."""

    case: Case | None
    text: str
    problem: str = ""


def preview(version: PromptVersion) -> Preview:
    """The version as it is asked for the newest case that it is for."""
    cases = Case.objects.select_related("dataset", "task").order_by("-id")
    task = version.prompt.task
    case = cases.filter(task=task).first() if task else cases.first()
    try:
        return Preview(case, render(version.text, facts_of(case) if case else _example(task)))
    except PromptError as error:
        return Preview(case, "", str(error))


def facts_of(case: Case) -> CaseFacts:
    return CaseFacts(case.task.name, case.instruction, case.requirement)


def _example(task: Task | None) -> CaseFacts:
    name = task.name if task else _("Object removal")
    return CaseFacts(name, _("An instruction stands here."), _("The case's requirement stands here, where it has one."))
