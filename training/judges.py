"""Judges that run as models on the GPU queue, for pages: settings as forms, and what their answers depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.asking.backends import Backend, Identity, Settings
from scoring.judging.contract import JudgeError
from training.fit import workers
from training.gpu.judges import check_settings, drawn, transformers
from training.gpu.vlm import needs, weights
from training.gpu.vlm import settings as vlm
from webapp.jobs.kinds import GPU
from webapp.jobs.machine import Machine

SCORE_BY = (
    (vlm.DIGITS, gettext_lazy("The digits' probabilities where the answer writes its score")),
    (vlm.TEXT, gettext_lazy("The number that the answer writes")),
    (vlm.DIGITS_ONLY, gettext_lazy("The digits' probabilities at once, without an answer in words (fast)")),
)


# The demo judge ------------------------------------------------------------------------------------------------------


def _drawn_identity(settings: Settings) -> Identity:
    try:
        check_settings("drawn", settings)
        return Identity("drawn", drawn.model_name(), drawn.PREPROCESSING, {})
    except JudgeError as error:
        raise ValidationError(str(error)) from None


DRAWN = Backend(
    kind="drawn",
    label=gettext_lazy("Demo judge"),
    explanation=gettext_lazy("A small network that knows the drawn world alone. Needs no GPU and no key."),
    queue=GPU,
    form=forms.Form,
    identity=_drawn_identity,
    notice=gettext_lazy("Demo judge, not a VLM."),
)


# A vision-language model by transformers -----------------------------------------------------------------------------


class TransformersForm(forms.Form):
    """A field left empty gets its default, which is kept: another default later must not change an old judge."""

    model = forms.CharField(
        label=gettext_lazy("Model"),
        max_length=500,
        help_text=gettext_lazy(
            "A folder on the GPU machine, or a name in its Hugging Face cache. Nothing is downloaded."
        ),
    )
    revision = forms.CharField(label=gettext_lazy("Revision of the Hub id"), required=False, max_length=100)
    score_by = forms.ChoiceField(label=gettext_lazy("Score by"), required=False, choices=SCORE_BY)
    temperature = forms.FloatField(
        label=gettext_lazy("Temperature"),
        required=False,
        help_text=gettext_lazy("0 for one pass; about 1 where the mean of several passes is taken."),
    )
    max_tokens = forms.IntegerField(label=gettext_lazy("Longest answer, in tokens"), required=False)
    max_side = forms.IntegerField(label=gettext_lazy("Longer side of a picture at most, in pixels"), required=False)
    dtype = forms.ChoiceField(
        label=gettext_lazy("Numbers of the weights"), required=False, choices=[(name, name) for name in vlm.DTYPES]
    )
    device = forms.CharField(label=gettext_lazy("Device"), required=False, max_length=10)
    batch = forms.IntegerField(
        label=gettext_lazy("Requests at once"),
        required=False,
        help_text=gettext_lazy("Halved where the memory does not hold so many."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in vlm.DEFAULTS.items():
            self.fields[name].initial = value

    def clean(self) -> dict[str, Any]:
        """Each value by the judge's own rule."""
        values = {**self.cleaned_data}
        for name, default in vlm.DEFAULTS.items():
            if name in values and values[name] in ("", None):
                values[name] = default
        for name, value in values.items():
            if not vlm.CHECKS[name].test(value):
                self.add_error(name, _("This must be %(what)s.") % {"what": vlm.CHECKS[name].words})
        return values


def _vlm_identity(settings: Settings) -> Identity:
    try:
        check_settings("transformers", settings)
    except JudgeError as error:
        raise ValidationError(str(error)) from None
    asked = {**vlm.DEFAULTS, **settings}
    model = asked.pop("model")
    answering = {name: value for name, value in asked.items() if name not in vlm.ON_MACHINE}
    return Identity("transformers", model, transformers.PREPROCESSING, answering)


def problem(settings: Mapping[str, Any], machines: Sequence[Machine] | None = None) -> str:
    """Why none of the machines (those that listen now if not given) can hold the model of a judge "transformers";
    empty if one can, or if it cannot be told from here: a folder or a Hub id that only the worker has."""
    machines = workers() if machines is None else machines
    if not machines:
        return ""
    try:
        full = vlm.parse(settings)
        needed = needs.needs(weights.find(full), full)
    except JudgeError:
        return ""  # the job looks again where the model is, and says what is wrong
    found = [problem_on(needed, full.device, machine) for machine in machines]
    return "" if not all(found) else min(found, key=len)


def problem_on(needed: needs.Needs, device: str, machine: Machine) -> str:
    if device != "cpu" and machine.gpus:
        return needs.fits(needed, max(gpu.total for gpu in machine.gpus))
    if device != "cpu" and not machine.gpus_known:
        return ""
    if device.startswith("cuda"):
        return _("It needs a GPU, and the worker %(worker)s has none.") % {"worker": machine.worker}
    return needs.fits(needed, machine.memory_total or needed.total, "memory")


TRANSFORMERS = Backend(
    kind="transformers",
    label=gettext_lazy("A vision-language model on the GPU machine"),
    explanation=gettext_lazy("Qwen3-VL, Qwen2.5-VL, InternVL and others by transformers. Needs the weights there."),
    queue=GPU,
    form=TransformersForm,
    identity=_vlm_identity,
)
