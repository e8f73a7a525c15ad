"""The form of a sweep: that of a run, and what differs between the runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset
from training.posttraining.config import CHECKS, PRESETS, Config, preset
from training.runs import judges
from training.runs.forms import RunForm
from training.runs.settings import LABELS, NAMES, field_of, value_of
from training.runs.sweeps.plan import DATASET, MOST, REWARD, Axis, Plan, size

AXES = 3  # settings that may differ
PRESET = "preset"
RANKS = "8, 32, 128"  # HP-Edit's ablation of the LoRA's rank
NAME = 60  # characters: the runs' names begin with it
WIDE = {"size": 6}


class SweepForm(RunForm):
    """An axis replaces what the fields of the run say of it; everything else is the same in all runs."""

    datasets = forms.ModelMultipleChoiceField(
        label=_("Data sets"), queryset=Dataset.objects.order_by("-id"), to_field_name="slug", required=False,
        widget=forms.SelectMultiple(attrs=WIDE),
        help_text=_("One run for each, for example unfiltered and filtered. None: all learn from the one below."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _t("Name of the sweep")
        self.fields["name"].max_length = NAME  # type: ignore[attr-defined]
        self.fields["name"].help_text = _t("The trained editors are named after it and after what differs.")
        known = [("", _t("none")), (PRESET, _t("Preset")), *((name, LABELS[name][0]) for name in NAMES)]
        for place in range(1, AXES + 1):
            label = _t("Setting that differs") if place == 1 else _t("and")
            self.fields[f"axis_{place}"] = forms.ChoiceField(label=label, choices=known, required=False)
            self.fields[f"values_{place}"] = forms.CharField(
                label=_t("Its values"), max_length=1000, required=False,
                help_text=_t("With commas between, for example 8, 32, 128.") if place == 1 else "",
            )  # fmt: skip
        self.fields["scorers"] = forms.MultipleChoiceField(
            label=_t("Sources of reward"), choices=self.fields["reward_1"].choices[1:], required=False,  # type: ignore[attr-defined]
            widget=forms.SelectMultiple(attrs=WIDE),
            help_text=_t("One run for each of them, rewarded by it alone. None: all have the reward below."),
        )  # fmt: skip

    def axes_fields(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        return [(self[f"axis_{n}"], self[f"values_{n}"]) for n in range(1, AXES + 1)]

    def clean_name(self) -> str:
        name = super().clean_name()
        if len(name) > NAME:
            raise ValidationError(_t("Use at most %(n)d characters.") % {"n": NAME})
        return name

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.errors:
            axes = self._axes()
            if not self.errors and not axes:
                self.add_error(None, _t("Nothing differs. Choose a setting with its values, data sets or scorers."))
            elif size(axes) > MOST:
                words = _t("These are %(n)d runs; a sweep has %(most)d at most. Take fewer values.")
                self.add_error(None, words % {"n": size(axes), "most": MOST})
            data["axes"] = tuple(axes)
        return data

    def _axes(self) -> list[Axis]:
        data = self.cleaned_data
        axes: list[Axis] = []
        for place in range(1, AXES + 1):
            name, text = data.get(f"axis_{place}", ""), data.get(f"values_{place}", "")
            if not name and not text:
                continue
            try:
                if name in {axis.name for axis in axes}:
                    raise ValidationError(_t("This setting is chosen twice."))
                axes.append(_setting(name, text))
            except ValidationError as error:
                self.add_error(f"values_{place}" if name else f"axis_{place}", error)
        if datasets := list(data["datasets"]):
            axes.append(Axis(DATASET, tuple(str(one.uid) for one in datasets), tuple(one.name for one in datasets)))
            if data["labelled_set"]:
                words = _t("With a training set all runs learn from it. Leave it or the data sets out.")
                self.add_error("datasets", words)
        if scorers := data["scorers"]:
            axes.append(Axis(REWARD, tuple(scorers), tuple(judges.label(one) for one in scorers)))
        for axis, field in ((one, {DATASET: "datasets", REWARD: "scorers"}.get(one.name)) for one in axes):
            if field and len(axis.values) == 1:
                self.add_error(field, _t("Choose two at least, or none."))
        return axes

    def _config(self) -> Config:
        """Whether the settings go together is asked of each run, after its axes have replaced some of them."""
        return preset(self.cleaned_data[PRESET], self.cleaned_data["base"].module)

    def plan(self) -> Plan:
        data = self.cleaned_data
        found = {name: value_of(name, data.get(name)) for name in NAMES}
        given = {name: value for name, value in found.items() if value is not None}
        return Plan(data["name"], data["axes"], self.wish(), {PRESET: data[PRESET], **given})


def _setting(name: str, text: str) -> Axis:
    """Raises ValidationError that says which value is wrong."""
    if not name:
        raise ValidationError(_t("Choose the setting that has these values."))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    values = [_value(name, part) for part in parts]
    if len(values) < 2:
        raise ValidationError(_t("Give two values at least, with commas between."))
    if len(set(values)) < len(values):
        raise ValidationError(_t("A value is given twice."))
    return Axis(name, tuple(values), tuple(_label(value) for value in values))


def _value(name: str, text: str) -> Any:
    if name == PRESET:
        if text not in PRESETS:
            words = _t("There is no preset “%(value)s”. The presets are: %(known)s.")
            raise ValidationError(words % {"value": text, "known": ", ".join(PRESETS)})
        return text
    try:
        value = value_of(name, field_of(name, "").clean(text))
    except ValidationError as error:
        raise ValidationError(f"“{text}”: {' '.join(error.messages)}") from None
    if not CHECKS[name].test(value):
        raise ValidationError(_t("“%(value)s”: this must be %(what)s.") % {"value": text, "what": CHECKS[name].words})
    return value


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


# The two ablations of HP-Edit ----------------------------------------------------------------------------------------


def ranks() -> dict[str, Any]:
    """How large the LoRA is."""
    return {"axis_1": "lora_rank", "values_1": RANKS, "name": _t("Rank of the LoRA")}


def data_and_scorers() -> dict[str, Any]:
    """Unfiltered and filtered data, each with a judge's usual prompt and with its active scorers, as far as they are
    here: the newest data set that was drawn from another, and that one."""
    found: dict[str, Any] = {"name": _t("Data and scorer")}
    drawn = Dataset.objects.filter(derived_from__isnull=False).select_related("derived_from").order_by("-id").first()
    if drawn and drawn.derived_from:
        found |= {"datasets": [drawn.derived_from.slug, drawn.slug], "dataset": drawn.derived_from.slug}
    known = [value for value, _label in judges.choices()]
    active = next((value for value in known if value.startswith(f"{judges.ACTIVE}:")), None)
    if active:
        usual = f"{judges.USUAL}:{active.partition(':')[2]}"
        found |= {"scorers": [one for one in (usual, active) if one in known], "reward_1": active}
    return found


ABLATIONS = {"rank": ranks, "data": data_and_scorers}


def ablation(name: str) -> dict[str, Any]:
    """The form's values for one of HP-Edit's ablations; empty for another name."""
    return ABLATIONS[name]() if name in ABLATIONS else {}


def short(name: str) -> str:
    return slugify(name)[:80].strip("-_")
