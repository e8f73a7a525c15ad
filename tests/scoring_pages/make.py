"""Scored data sets for tests: rows as scoring jobs leave them."""

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import pytest
from django import forms

from annotation.models import Candidate, Case, Dataset
from scoring.asking import backends
from scoring.asking.backends import Backend, Identity
from scoring.models import Activation, Answer, Judge, Prompt, PromptVersion, Score
from tests import judging
from webapp.jobs.kinds import DEFAULT

_number = count()


class PlainForm(forms.Form):
    level = forms.IntegerField(label="Level", min_value=0, max_value=9)
    word = forms.CharField(label="Word", required=False)


PLAIN = Backend(
    kind="plain",
    label="Plain",
    explanation="A backend of the tests.",
    queue=DEFAULT,
    form=PlainForm,
    identity=lambda settings: Identity("plain", "m", "1", settings),
    priced=lambda settings: settings.get("level") == 9,
    notice="Test judge.",
)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A backend of the tests, beside those of the product."""
    monkeypatch.setitem(backends._backends, "plain", PLAIN)
    return PLAIN


def judge(name: str = "", **values: Any) -> Judge:
    slug = name or f"judge-{next(_number)}"
    return Judge.objects.create(slug=slug, name=slug.title(), kind="plain", **values)


def version(task: str | None = "add", *, low: int = 0, high: int = 5, prompt: Prompt | None = None) -> PromptVersion:
    found = prompt or Prompt.objects.create(
        slug=f"prompt-{next(_number)}", name=f"Prompt {task or 'every'}", task_id=task, low=low, high=high
    )
    return found.versions.create(number=found.versions.count() + 1, preamble="p", rubric="r")


def dataset(groups: Mapping[str, Iterable[list[float | None]]], notice: str = "", owner: Any = None) -> Dataset:
    """For each task its cases, each a list of its candidates' scores as ``score_all`` gives them; None: without."""
    number = next(_number)
    data = Dataset.objects.create(slug=f"scored-{number}", name=f"Scored {number}", notice=notice, created_by=owner)
    editor = judging.ensure_editor(slug="editor-0", name="Editor 0")
    for task, cases in groups.items():
        for place, scores in enumerate(cases):
            source = judging.stored_image(f"{number}-{task}-{place}")
            source.save()
            key = f"{task}-{place:03}"
            case = Case.objects.create(dataset=data, key=key, source=source, task_id=task, instruction=f"Do {key}")
            for seed, _score in enumerate(scores):
                image = judging.stored_image(f"{number}-{task}-{place}-{seed}")
                image.save()
                Candidate.objects.create(
                    case=case, editor=editor, image=image, seed=seed, settings_hash=judging.settings_hash({})
                )
    return data


def score_all(
    data: Dataset, groups: Mapping[str, Iterable[list[float | None]]], by: Judge, versions: Mapping[str, PromptVersion]
) -> None:
    """Give each candidate its score; None leaves it without a row."""
    candidates = {(row.case.key, row.seed): row for row in Candidate.objects.filter(case__dataset=data)}
    for task, cases in groups.items():
        for place, scores in enumerate(cases):
            for seed, value in enumerate(scores):
                if value is not None:
                    give(candidates[f"{task}-{place:03}", seed], versions[task], by, value)


def give(candidate: Candidate, by_version: PromptVersion, by: Judge, value: float | None, status: str = "") -> Score:
    found = status or ("parsed" if value is not None else "failed")
    return Score.objects.create(
        candidate=candidate, version=by_version, judge=by, value=value, status=found, read=value is not None
    )


def answer(by: Judge, **values: Any) -> Answer:
    """An answer of a judge, with a score unless the status says otherwise."""
    status = values.setdefault("status", "parsed")
    values.setdefault("score", 3.0 if status in ("parsed", "repaired") else None)
    return Answer.objects.create(key=f"{next(_number):064}", judge=by, **values)


def activate(task: str, by_version: PromptVersion, by: Judge, knots: Any = None) -> Activation:
    return Activation.objects.create(
        task_id=task, dimension="overall", version=by_version, judge=by, figures={}, knots=knots
    )
