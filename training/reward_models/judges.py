"""Reward models as judges: scores by a version of the registry, overall or in one of its dimensions."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.asking.backends import Backend, Identity, Settings
from training.models import RewardModel
from training.reward_models.registry import KIND, OVERALL, folder_of
from webapp.jobs.kinds import GPU

PREPROCESSING = "reward/2"  # how a request becomes an example, and a score one on the prompt's scale


def model_of(settings: Settings) -> RewardModel:
    """Raises ValidationError where the version is gone."""
    named = RewardModel.objects.filter(slug=settings.get("model", ""), number=settings.get("number", 0))
    found = named.first()
    if found is None:
        words = _("There is no reward model “%(model)s” with a version %(number)s.")
        raise ValidationError(words % {"model": settings.get("model"), "number": settings.get("number")})
    return found


class RewardForm(forms.Form):
    model = forms.CharField(
        label=gettext_lazy("Reward model"),
        max_length=80,
        help_text=gettext_lazy("Its short name, as in the address of its page."),
    )
    number = forms.IntegerField(
        label=gettext_lazy("Version"),
        min_value=1,
        required=False,
        help_text=gettext_lazy("Empty: the newest. The judge keeps the version that it was made with."),
    )
    dimension = forms.CharField(
        label=gettext_lazy("Score"),
        max_length=80,
        required=False,
        initial=OVERALL,
        help_text=gettext_lazy("“overall”, or one dimension of the model by its key."),
    )

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not data.get("number") and "number" in data:
            newest = RewardModel.objects.filter(slug=data.get("model", "")).order_by("-number").first()
            data["number"] = newest.number if newest else 1
        data["dimension"] = data.get("dimension") or OVERALL
        if self.errors:
            return data
        dimensions = [OVERALL, *(one["key"] for one in model_of(data).dimensions)]
        if data["dimension"] not in dimensions:
            words = _("The model has no such dimension. It has: %(names)s.")
            self.add_error("dimension", words % {"names": ", ".join(dimensions)})
        return data


def _identity(settings: Settings) -> Identity:
    """The weights and the dimension: a new version is another judge, the same files under another name are not."""
    fingerprint = model_of(settings).fingerprint
    return Identity(KIND, fingerprint, PREPROCESSING, {"dimension": settings.get("dimension", OVERALL)})


def _program(settings: Settings) -> Settings:
    found = model_of(settings)
    return {**settings, "folder": str(folder_of(found)), "fingerprint": found.fingerprint}


REWARD = Backend(
    kind=KIND,
    label=gettext_lazy("A reward model of this installation"),
    explanation=gettext_lazy("A version that was trained here from people's judgements. It reads no question."),
    queue=GPU,
    form=RewardForm,
    identity=_identity,
    program=_program,
    inherits=lambda settings: model_of(settings).notice,
)
