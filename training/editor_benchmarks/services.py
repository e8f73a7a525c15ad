"""Writes: make a benchmark of editors, change who takes part, delete it. What fills it is in filling.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.curation.services import derive
from annotation.models import Case, Dataset, Editor, Task
from scoring.asking.backends import backend
from scoring.models import Judge
from training.editor_benchmarks.styles import asked_of
from training.models import EditorBenchmark, Language, Style
from webapp.accounts.models import User

CHINESE = "chinese-instructions"  # kind of the data set whose cases are edited by their Chinese instructions
MOST_SAMPLES = 200_000


@transaction.atomic
def create(
    *,
    name: str,
    style: str,
    dataset: Dataset,
    split: str,
    editors: Sequence[Editor],
    base: Editor | None,
    judge: Judge | None,
    seeds: int,
    language: str = Language.EN,
    models: Mapping[str, str] | None = None,
    by: User | None,
) -> EditorBenchmark:
    """Raises ValidationError by field; then nothing is made.

    The prompts' versions are chosen now and kept. A Chinese benchmark has a data set of its own: the same cases, whose
    instruction is the Chinese one; so their images are no others' images. ``models``: {"dino", "clip"}, of the style
    DreamBench++.
    """
    slug = _slug(name)
    _check_editors(editors, base)
    if language == Language.ZH:
        dataset = _chinese(dataset, split, by)
    cases = Case.objects.filter(dataset=dataset, **({"split": split} if split else {}))
    tasks = list(Task.objects.filter(pk__in=cases.values("task")))
    if not tasks:
        raise ValidationError({"split": _("The data set has no case in this split.")})
    if cases.count() * len(editors) * seeds > MOST_SAMPLES:
        words = _("That would be more than %(most)d images. Choose a split, fewer editors or fewer seeds.")
        raise ValidationError(words % {"most": MOST_SAMPLES})
    judge = judge if style != Style.DREAM else None
    if judge is not None:
        _check_judge(judge)
    made = EditorBenchmark(
        slug=slug,
        name=name,
        style=style,
        dataset=dataset,
        split=split,
        base=base,
        judge=judge,
        asked=asked_of(style, tasks, judge, models or {}),
        seeds=seeds,
        language=language,
        created_by=by,
    )
    made.full_clean()
    made.save()
    made.editors.set(editors)
    return made


@transaction.atomic
def change_editors(*, benchmark: EditorBenchmark, editors: Sequence[Editor], base: Editor | None) -> None:
    """Images and scores of an editor that goes stay, and count again when it comes back. Raises ValidationError."""
    _check_editors(editors, base)
    found = EditorBenchmark.objects.select_for_update(of=("self",)).get(pk=benchmark.pk)
    if found.stage:
        raise ValidationError(_("The benchmark is being filled. Wait for its jobs, or cancel them."))
    found.editors.set(editors)
    found.base = base
    found.save(update_fields=["base"])


@transaction.atomic
def delete(*, benchmark: EditorBenchmark) -> None:
    """Images and scores stay. Raises ValidationError while it is being filled."""
    found = EditorBenchmark.objects.select_for_update(of=("self",)).get(pk=benchmark.pk)
    if found.stage:
        raise ValidationError(_("The benchmark is being filled. Cancel its jobs first."))
    found.delete()


# Parts ---------------------------------------------------------------------------------------------------------------


def _slug(name: str) -> str:
    slug = slugify(name)[:80].strip("-_")
    if not slug:
        raise ValidationError({"name": _("Use another name, with at least one Latin letter or digit.")})
    if EditorBenchmark.objects.filter(slug=slug).exists():
        raise ValidationError({"name": _("There is a benchmark of this name already.")})
    return slug


def _check_editors(editors: Sequence[Editor], base: Editor | None) -> None:
    if not editors:
        raise ValidationError({"editors": _("Choose at least one editor.")})
    if base is not None and base not in editors:
        raise ValidationError({"base": _("The base is compared with the others, so it must be among the editors.")})


def _check_judge(judge: Judge) -> None:
    """Refuse now what would be refused when it is asked: an endpoint or a reward model that is gone."""
    found = backend(judge.kind)
    if found is None:
        raise ValidationError({"judge": _("There is no kind of judge “%(kind)s”.") % {"kind": judge.kind}})
    try:
        found.identity(judge.settings)
    except ValidationError as error:
        raise ValidationError({"judge": error.messages}) from None


def _chinese(dataset: Dataset, split: str, by: User | None) -> Dataset:
    """The data set of the same cases with their Chinese instructions, made where it is not there yet."""
    cases = Case.objects.filter(dataset=dataset, **({"split": split} if split else {}))
    without = cases.filter(instruction_zh="").count()
    if without:
        words = _("%(without)d of %(all)d cases have no Chinese instruction (instruction_zh). Import them with one.")
        raise ValidationError({"dataset": words % {"without": without, "all": cases.count()}})
    wanted = {key: (instruction, task) for key, instruction, task in cases.values_list("key", "instruction_zh", "task")}
    for known in Dataset.objects.filter(derived_from=dataset, recipe__kind=CHINESE).order_by("-pk"):
        if {row[0]: row[1:] for row in known.cases.values_list("key", "instruction", "task")} == wanted:
            return known
    made = derive(
        dataset=dataset,
        name=_free_name(_("%(name)s, Chinese instructions") % {"name": dataset.name}),
        description=_("The cases of %(name)s with their Chinese instructions.") % {"name": dataset.name},
        recipe={"kind": CHINESE, "split": split},
        keys=set(wanted),
        by=by,
    )
    made.cases.update(instruction=F("instruction_zh"))
    return made


def _free_name(name: str) -> str:
    """With a number where the name is taken."""
    found, number = name, 1
    while Dataset.objects.filter(slug=slugify(found)[:80]).exists():
        number += 1
        found = f"{name} {number}"
    return found
