"""The form of a training: a set, a name, a preset, and every setting that differs from the preset."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from training.models import LabelledSet, RewardModel, SetState
from training.reward_models.registry import OVERALL, slug_of
from training.reward_models.settings import FIELDS, FIRST, FOLDED, LABELS, PRESET_LABELS
from training.reward_models.starting import usual_backbone
from training.rewards.config import CHECKS, PRESETS, STAGES, Config, Stage, WrongConfig

GAPS = "gaps"
YES_NO = (("", ""), ("yes", gettext_lazy("yes")), ("no", gettext_lazy("no")))


class TrainForm(forms.Form):
    """A setting that is left empty has the preset's value."""

    set = forms.ModelChoiceField(
        label=gettext_lazy("Training set"),
        queryset=LabelledSet.objects.filter(state=SetState.READY).order_by("-id"),
        to_field_name="slug",
    )
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=120,
        help_text=gettext_lazy("A name that is there already gets a new version."),
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=500, required=False)
    preset = forms.ChoiceField(
        label=gettext_lazy("Preset"),
        choices=[(name, PRESET_LABELS[name]) for name in PRESETS],
        initial="editloop",
        help_text=gettext_lazy("Every setting below that is left empty has the value of the preset."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        preset = self["preset"].value()
        shown = shown_values(PRESETS[preset] if preset in PRESETS else Config())
        for name in (*FIRST, *FOLDED):
            self.fields[name] = _field(name, shown.get(name, ""))

    def first(self) -> list[forms.BoundField]:
        return [self[name] for name in FIRST]

    def folded(self) -> list[forms.BoundField]:
        return [self[name] for name in FOLDED]

    def folded_open(self) -> bool:
        return any(field.errors or field.value() not in ("", None) for field in self.folded())

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        try:
            slug_of(name)
        except ValidationError as error:
            raise ValidationError(error.messages) from None
        return name

    def clean_stages(self) -> tuple[Stage, ...] | None:
        return read_stages(self.cleaned_data["stages"])

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        for name in (*FIRST, *FOLDED):
            value = _value(name, data.get(name))
            if value is not None and not CHECKS[name].test(value):
                self.add_error(name, _("This must be %(what)s.") % {"what": CHECKS[name].words})
        if not self.errors:
            try:
                data["config"] = self._config()
            except WrongConfig as error:
                self.add_error(None, str(error))
        return data

    def _config(self) -> Config:
        data = self.cleaned_data
        given = {name: _value(name, data.get(name)) for name in (*FIRST, *FOLDED)}
        given = {name: value for name, value in given.items() if value is not None}
        given.setdefault("backbone", usual_backbone(data["set"]))
        if "stages" in given:
            given["stages"] = [_told(stage) for stage in given["stages"]]
        return Config.from_json({**PRESETS[data["preset"]].to_json(), **given})


def _field(name: str, shown: str) -> forms.Field:
    field = copy.deepcopy(FIELDS[name])
    field.label, field.help_text = LABELS[name]
    as_preset = _("as the preset: %(value)s") % {"value": shown}
    if isinstance(field, forms.BooleanField):
        field = forms.ChoiceField(label=field.label, help_text=field.help_text, required=False, choices=YES_NO)
    if isinstance(field, forms.ChoiceField):
        empty = _("as suits the set") if name == "backbone" else as_preset
        field.choices = [("", empty), *((key, label) for key, label in field.choices if key)]  # type: ignore[union-attr, misc]
    else:
        field.widget.attrs["placeholder"] = shown
    field.widget.attrs["data-setting"] = name
    return field


def _value(name: str, given: Any) -> Any:
    """As the configuration has it; None where nothing was given."""
    if given in ("", None, ()):
        return None
    if isinstance(FIELDS[name], forms.BooleanField):
        return given == "yes"
    return float(given) if isinstance(given, int) and isinstance(FIELDS[name], forms.FloatField) else given


def shown_values(config: Config) -> dict[str, str]:
    """What a field that is empty stands for."""
    values: Mapping[str, Any] = config.to_json()
    found = {name: _shown(values[name]) for name in (*FIRST, *FOLDED) if name not in ("stages", "backbone")}
    return {**found, "stages": "\n".join(_line(stage) for stage in config.stages)}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:g}" if isinstance(value, float) else str(value)


def preset_values() -> dict[str, dict[str, str]]:
    return {name: shown_values(config) for name, config in PRESETS.items()}


# Stages --------------------------------------------------------------------------------------------------------------


def read_stages(text: str) -> tuple[Stage, ...] | None:
    """Lines such as “pair 0.4 gaps”; None where there is no line. Raises ValidationError with the line."""
    stages = []
    for line in text.splitlines():
        if words := line.split():
            stages.append(_stage(words, line))
    return tuple(stages) or None


def _stage(words: list[str], line: str) -> Stage:
    objective, *rest = words
    gaps = rest[-1:] == [GAPS]
    share = rest[:-1] if gaps else rest
    try:
        value = float(share[0]) if share else 1.0
    except ValueError:
        value = 0.0
    if objective not in STAGES or len(share) > 1 or not 0 < value <= 1:
        message = _("“%(line)s” is no stage. Write one of %(names)s, its share above 0 up to 1, and “gaps” or nothing.")
        raise ValidationError(message % {"line": line.strip()[:80], "names": ", ".join(STAGES)})
    return Stage(objective, value, gaps)


def _line(stage: Stage) -> str:
    return f"{stage.objective} {stage.share:g}" + (f" {GAPS}" if stage.large_gaps_first else "")


def _told(stage: Stage) -> dict[str, Any]:
    return {"objective": stage.objective, "share": stage.share, "large_gaps_first": stage.large_gaps_first}


# A version's page ----------------------------------------------------------------------------------------------------


class JudgeForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name of the judge"), max_length=120)
    dimension = forms.ChoiceField(label=gettext_lazy("It scores"))

    def __init__(self, *args: Any, model: RewardModel, **kwargs: Any) -> None:
        kwargs["initial"] = {"name": str(model), "dimension": OVERALL}
        super().__init__(*args, **kwargs)
        field = self.fields["dimension"]
        assert isinstance(field, forms.ChoiceField)
        labels = {one["key"]: one.get("label") or one["key"] for one in model.dimensions}
        field.choices = list({OVERALL: _("overall: all dimensions together"), **labels}.items())


class NoteForm(forms.Form):
    note = forms.CharField(
        label=gettext_lazy("Note"), max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
