"""Prompts and their versions. A version is never changed: a change is a new one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ManyToOneRel, Max
from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.models import Task
from scoring.models import Prompt, PromptVersion, Question
from scoring.models.asking import HIGHEST
from scoring.prompts.checks import problems
from scoring.prompts.drafts import Draft, Line, tidy, without
from webapp.accounts.models import User

RESERVED = ("new",)  # an address of ours


def draft_of(version: PromptVersion) -> Draft:
    """What a version says. Uses questions that were prefetched."""
    lines = tuple(Line(row.key, row.text, row.is_on) for row in version.questions.all())
    return Draft(version.preamble, version.rubric, lines)


def without_question(version: PromptVersion, key: str) -> Draft:
    """A version's content with that question switched off. Raises KeyError where there is no such question."""
    return without(draft_of(version), key)


@transaction.atomic
def create_prompt(
    *,
    name: str,
    task: Task | None,
    dimension: str,
    low: int,
    high: int,
    preamble: str,
    rubric: str,
    questions: Sequence[tuple[str, str, bool]] = (),
    description: str = "",
    note: str = "",
    by: User | None,
) -> Prompt:
    """A prompt with its first version; its slug is made of the name. Raises ValidationError, by field where it can."""
    slug = slugify(name)[:80].strip("-_")
    if not slug or slug in RESERVED:
        raise ValidationError({"name": _("Use another name, with at least one Latin letter or digit.")})
    if Prompt.objects.filter(slug=slug).exists():
        raise ValidationError({"name": _("There is a prompt of this name already.")})
    if not low < high <= HIGHEST:
        words = _("The highest score must be above the lowest, and one digit: %(most)d at most.")
        raise ValidationError({"high": words % {"most": HIGHEST}})
    prompt = Prompt(slug=slug, name=name, task=task, dimension=dimension, low=low, high=high)
    prompt.description, prompt.created_by = description, by
    prompt.full_clean()
    prompt.save()
    draft = _checked(tidy(preamble, rubric, questions), note)
    _save_version(PromptVersion(prompt=prompt, number=1, note=note, author=by), draft, known=[])
    return prompt


@transaction.atomic
def create_version(
    *,
    parent: PromptVersion,
    preamble: str,
    rubric: str,
    questions: Sequence[tuple[str, str, bool]],
    note: str = "",
    by: User | None,
    is_trial: bool = False,
) -> PromptVersion:
    """A child of ``parent``. ``questions``: key (empty: a new question), text, whether it is on; in order.

    Raises ValidationError with all that is wrong. Of two at once, one waits for the other's number.
    """
    draft = _checked(tidy(preamble, rubric, questions), note)
    if draft.says_the_same(draft_of(parent)):
        raise ValidationError(_("Nothing was changed, so there is nothing to keep as a new version."), code="unchanged")
    prompt = Prompt.objects.select_for_update().get(pk=parent.prompt_id)
    number = (prompt.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    known = (
        Question.objects.filter(version__prompt=prompt).order_by("key", "text").values_list("key", "text").distinct()
    )
    version = PromptVersion(prompt=prompt, number=number, parent=parent, note=note, author=by, is_trial=is_trial)
    return _save_version(version, draft, known)


def create_from_draft(
    *, parent: PromptVersion, draft: Draft, note: str = "", by: User | None, is_trial: bool = False
) -> PromptVersion:
    """``create_version`` of a draft, such as ``without_question`` gives."""
    return create_version(
        parent=parent,
        preamble=draft.preamble,
        rubric=draft.rubric,
        questions=draft.questions,
        note=note,
        by=by,
        is_trial=is_trial,
    )


@transaction.atomic
def drop_trial(*, version: PromptVersion) -> None:
    """Raises ValidationError for a version that people made, and for a trial that something refers to."""
    if not version.is_trial:
        raise ValidationError(_("Only trial versions can be deleted. A version that a person made stays."))
    if any(_refers(relation, version) for relation in PromptVersion._meta.get_fields(include_hidden=True)):
        raise ValidationError(_("This trial is in use: by scores, a later version or a calibration. It stays."))
    version.delete()


def _refers(relation: Any, version: PromptVersion) -> bool:
    if not isinstance(relation, ManyToOneRel) or relation.related_model is Question:
        return False
    return bool(relation.related_model._base_manager.filter(**{relation.field.name: version}).exists())


# Parts ---------------------------------------------------------------------------------------------------------------


def _checked(draft: Draft, note: str) -> Draft:
    found = problems(draft, note)
    if found:
        raise ValidationError([str(problem) for problem in found])
    return draft


def _save_version(version: PromptVersion, draft: Draft, known: Iterable[tuple[str, str]]) -> PromptVersion:
    version.preamble, version.rubric = draft.preamble, draft.rubric
    lines = _keyed(draft.questions, known)
    version.full_clean()
    version.save()
    rows = [Question(version=version, position=position, **line._asdict()) for position, line in enumerate(lines)]
    Question.objects.bulk_create(rows)
    return version


def _keyed(lines: Iterable[Line], known: Iterable[tuple[str, str]]) -> list[Line]:
    """Every question with a key: its own, that of a former question of the same words, or a fresh one.

    ``known``: each key and each text that the prompt's versions have used. Raises ValidationError for other keys.
    """
    lines, known = list(lines), list(known)
    keys, former = {key for key, _text in known}, {text: key for key, text in known}
    taken = {line.key for line in lines if line.key}
    if len(taken) < sum(bool(line.key) for line in lines) or not taken <= keys:
        raise ValidationError(_("The questions were mixed up on the way. Open the form again and repeat the change."))
    fresh = (key for key in (f"q{number}" for number in count(1)) if key not in keys)
    found = []
    for line in lines:
        old = former.get(line.text, "")
        key = line.key or (old if old and old not in taken else next(fresh))
        taken.add(key)
        found.append(line._replace(key=key))
    return found
