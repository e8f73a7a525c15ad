"""The shipped prompts as rows."""

from typing import Any

from scoring.models import Prompt, PromptVersion, Question
from scoring.prompts.texts import Shipped, Version, shipped


def load_prompts() -> int:
    """Make the shipped prompts that are not there; safe to repeat, and changes none. Returns how many were made."""
    return load(Prompt, PromptVersion, Question)


def load(prompts: Any, versions: Any, questions: Any) -> int:
    """The same with the three models as the caller knows them: a migration has its own."""
    there = set(prompts.objects.values_list("slug", flat=True))
    missing = [found for found in shipped() if found.slug not in there]
    for found in missing:
        _load_one(found, prompts, versions, questions)
    return len(missing)


def _load_one(found: Shipped, prompts: Any, versions: Any, questions: Any) -> None:
    row = prompts.objects.create(
        slug=found.slug,
        name=found.name,
        task_id=found.task,
        dimension=found.dimension,
        low=found.low,
        high=found.high,
    )
    parent = None
    for number, version in enumerate(found.versions, start=1):
        parent = _load_version(version, versions, questions, prompt=row, parent=parent, number=number)


def _load_version(version: Version, versions: Any, questions: Any, **place: Any) -> Any:
    draft = version.draft
    row = versions.objects.create(preamble=draft.preamble, rubric=draft.rubric, note=version.note, **place)
    questions.objects.bulk_create(
        questions(version=row, position=position, **line._asdict()) for position, line in enumerate(draft.questions)
    )
    return row
