"""What a benchmark's style measures, and by which prompts: chosen once, when the benchmark is made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import Task
from scoring.asking.queries import OVERALL, choices_of
from scoring.models import Judge, PromptVersion
from training.models import EditorBenchmark, Measure, Style
from training.posttraining.editor_figures import TOP
from training.reward_models.registry import KIND as REWARD_MODEL

SCORE, JOINT, CONSISTENCY, QUALITY = "score", "o", "sc", "pq"
GEDIT_PROMPTS = {CONSISTENCY: "gedit-sc", QUALITY: "gedit-pq"}
REWARD_PROMPT = "reward"  # reward models read no question: one prompt names their scale for every task
MEASURES: dict[str, tuple[str, ...]] = {
    Style.HP: (SCORE,),
    Style.GEDIT: (JOINT, CONSISTENCY, QUALITY),
    Style.DREAM: tuple(Measure.values),
}
LABELS: dict[str, Any] = {
    SCORE: gettext_lazy("HP-score"),
    JOINT: "O",
    CONSISTENCY: "SC",
    QUALITY: "PQ",
    **dict(Measure.choices),
}


@dataclass(frozen=True)
class Scale:
    low: float
    high: float
    digits: int = 2


# At creation ---------------------------------------------------------------------------------------------------------


def asked_of(style: str, tasks: Collection[Task], judge: Judge | None, models: Mapping[str, str]) -> dict[str, Any]:
    """What the benchmark asks, as JSON: {"versions": {task or measure: UID}, …}. Raises ValidationError by field."""
    if style == Style.DREAM:
        return _models(models)
    if judge is None:
        raise ValidationError({"judge": _("Choose the judge that scores the images.")})
    if style == Style.GEDIT:
        found = {measure: _newest(slug) for measure, slug in GEDIT_PROMPTS.items()}
        return {"versions": {measure: str(version.uid) for measure, version in found.items()}}
    if judge.kind == REWARD_MODEL:
        uid = str(_newest(REWARD_PROMPT).uid)
        return {"versions": {task.pk: uid for task in tasks}, "active": [], "left_out": []}
    return _of_tasks(tasks)


def _of_tasks(tasks: Collection[Task]) -> dict[str, Any]:
    """The active scorer's version of each task, else the newest; tasks without an overall prompt are left out."""
    choices = choices_of(list(tasks))
    usual = {one.task.pk: one.usual for one in choices if one.usual and one.usual.prompt.dimension == OVERALL}
    if not usual:
        words = _("No prompt gives an overall score for any task of these cases. Make one on the page Prompts.")
        raise ValidationError({"dataset": words})
    if len(scales := {(one.prompt.low, one.prompt.high) for one in usual.values()}) > 1:
        told = ", ".join(sorted(f"{low}–{high}" for low, high in scales))
        words = _("The prompts of these tasks have several scales (%(scales)s), so no mean over tasks can be taken.")
        raise ValidationError({"dataset": words % {"scales": told}})
    return {
        "versions": {task: str(version.uid) for task, version in usual.items()},
        "active": sorted(one.task.pk for one in choices if one.active and one.task.pk in usual),
        "left_out": sorted(task.pk for task in tasks if task.pk not in usual),
    }


def _newest(slug: str) -> PromptVersion:
    rows = PromptVersion.objects.filter(prompt__slug=slug, is_trial=False).order_by("-number")
    found = rows.first()
    if found is None:
        words = _("The prompt “%(slug)s” is not there. It is made by the migrations: run them.")
        raise ValidationError(words % {"slug": slug})
    return found


def _models(models: Mapping[str, str]) -> dict[str, Any]:
    missing = [name for name in ("dino", "clip") if not models.get(name)]
    if missing:
        words = _("Name the folder of the weights: without them this style has no figures.")
        raise ValidationError(dict.fromkeys(missing, words))
    return {"dino": models["dino"], "clip": models["clip"]}


# Afterwards ----------------------------------------------------------------------------------------------------------


def measures_of(benchmark: EditorBenchmark) -> tuple[str, ...]:
    """The first is what the benchmark is about."""
    return MEASURES[benchmark.style]


def versions_of(benchmark: EditorBenchmark) -> dict[str, PromptVersion]:
    """By task, or by SC and PQ. One query. A version that was deleted with its prompt is not there."""
    told: dict[str, str] = benchmark.asked.get("versions", {})
    rows = PromptVersion.objects.filter(uid__in=set(told.values())).select_related("prompt")
    known = {str(row.uid): row for row in rows}
    return {name: known[uid] for name, uid in told.items() if uid in known}


def scale_of(benchmark: EditorBenchmark, versions: Mapping[str, PromptVersion]) -> Scale:
    """Of the figures that are shown."""
    if benchmark.style == Style.HP and versions:
        prompt = next(iter(versions.values())).prompt
        return Scale(prompt.low, prompt.high)
    return Scale(0, TOP) if benchmark.style == Style.GEDIT else Scale(0, 1, 3)
