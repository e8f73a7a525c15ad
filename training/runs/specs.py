"""Jobs from files: what a form asks for, as JSON, with the form's own checks and words (docs/post-training.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from annotation.models import Dataset
from training.forms import GenerationForm
from training.generation import start_generation
from training.reward_models.forms import TrainForm
from training.reward_models.starting import start_training
from training.runs.forms import HELD_OUT, SOURCES, RunForm
from training.runs.starting import start_run
from webapp.accounts.models import User
from webapp.jobs.models import Job

Values = dict[str, Any]


def start(spec: object, by: User | None) -> Job:
    """The job that a file asks for. Raises ValidationError, with everything that is wrong in words."""
    if not isinstance(spec, dict):
        raise ValidationError(_("The file must hold one JSON object."))
    values = {**spec}
    kind = values.pop("kind", None)
    starter = STARTS.get(kind) if isinstance(kind, str) else None
    if starter is None:
        words = _("“kind” must be one of %(kinds)s.")
        raise ValidationError(words % {"kinds": ", ".join(STARTS)})
    return starter(values, by)


def _cleaned(form: forms.Form, values: Values, known: Mapping[str, Any] | None = None) -> Values:
    """The form's cleaned data. Raises ValidationError for fields that it has not, and for each that is wrong."""
    if unknown := sorted(set(values) - set(known or form.fields)):
        words = _("There is no field %(unknown)s. The fields are: %(known)s.")
        raise ValidationError(words % {"unknown": ", ".join(unknown), "known": ", ".join(sorted(known or form.fields))})
    if not form.is_valid():
        raise ValidationError(
            [
                str(error) if name == "__all__" else f"{name}: {error}"
                for name, errors in form.errors.items()
                for error in errors
            ]
        )
    return form.cleaned_data


def _plain(values: Mapping[str, Any]) -> Values:
    """JSON's values as a form reads them: yes and no in words for what is chosen, nothing for null."""
    return {name: "" if value is None else value for name, value in values.items()}


# Post-training -------------------------------------------------------------------------------------------------------

RUN = ("name", "base", "note", "dataset", "split", "tasks", "limit", "labelled_set", "dimension", "scored_by", "watch")


def _posttrain(values: Values, by: User | None) -> Job:
    """{"name", "base", "dataset", …, "rewards": {judge: weight}, "held_out": [judge], "reward": {"alpha", …},
    "config": {"preset", …}}. What is left out is as on an empty form."""
    parts = {
        name: values.pop(name, empty)
        for name, empty in (("rewards", {}), ("held_out", []), ("reward", {}), ("config", {}))
    }
    if not all(isinstance(parts[name], dict) for name in ("rewards", "reward", "config")):
        raise ValidationError(_("“rewards”, “reward” and “config” must be objects with names and values."))
    if not isinstance(parts["held_out"], list):
        raise ValidationError(_("“held_out” must be a list of judges."))
    if len(parts["rewards"]) > SOURCES or len(parts["held_out"]) > HELD_OUT:
        words = _("There is room for %(a)d sources of reward and %(b)d held-out judges.")
        raise ValidationError(words % {"a": SOURCES, "b": HELD_OUT})
    asked = {
        "preset": "fast",
        "split": "train",
        "watch": True,
        **values,
        **parts["reward"],
        **_settings(parts["config"]),
    }
    for place, (name, weight) in enumerate(parts["rewards"].items(), 1):
        asked |= {f"reward_{place}": name, f"weight_{place}": weight}
    asked |= {f"held_out_{place}": name for place, name in enumerate(parts["held_out"], 1)}
    form = RunForm(_plain(asked))
    if unknown := sorted(set(values) - set(RUN)):
        words = _("There is no field %(unknown)s. The fields are: %(known)s.")
        known = ", ".join((*RUN, "rewards", "held_out", "reward", "config"))
        raise ValidationError(words % {"unknown": ", ".join(unknown), "known": known})
    _cleaned(form, asked)
    return start_run(wish=form.wish(), by=by)


def _settings(config: Mapping[str, Any]) -> Values:
    return {name: ("yes" if value else "no") if isinstance(value, bool) else value for name, value in config.items()}


# Reward models and candidates ----------------------------------------------------------------------------------------


def _reward_train(values: Values, by: User | None) -> Job:
    """The fields of the form “Train a reward model”."""
    asked = {"preset": "editloop", **_settings(values)}
    data = _cleaned(TrainForm(_plain(asked)), asked)
    return start_training(labelled_set=data["set"], name=data["name"], config=data["config"], note=data["note"], by=by)


def _generate(values: Values, by: User | None) -> Job:
    """{"dataset": its short name, "editors": [short names], "seeds", "tasks", "splits", "sample", "limit"}."""
    asked = {"seeds": 1, **values}
    dataset = Dataset.objects.filter(slug=str(asked.pop("dataset", ""))).first()
    if dataset is None:
        raise ValidationError(_("“dataset” must be the short name of a data set that is here."))
    form = GenerationForm(_plain(asked), dataset=dataset)
    form.fields["editors"].to_field_name = "slug"  # type: ignore[attr-defined]
    data = _cleaned(form, asked)
    return start_generation(
        dataset=dataset,
        editors=list(data["editors"]),
        seeds=data["seeds"],
        tasks=data["tasks"],
        splits=data["splits"],
        sample=data["sample"] or 0,
        limit=data["limit"] or 0,
        by=by,
    )


STARTS: Mapping[str, Callable[[Values, User | None], Job]] = {
    "posttrain": _posttrain,
    "reward-train": _reward_train,
    "generate": _generate,
}
