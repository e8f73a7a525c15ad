"""The form of a run: base, data, who gives the reward and how it becomes one, a preset and what differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset, Editor, Split, Task
from scoring.models import Judge
from training.models import LabelledSet, SetState
from training.posttraining.config import CHECKS, PRESETS, Config, WrongConfig, preset
from training.posttraining.rewards import CHECKS as REWARD_CHECKS
from training.posttraining.rewards import FORMS, RewardSpec, WrongReward
from training.runs import judges
from training.runs.data import Wanted
from training.runs.settings import (
    FIRST,
    FOLDED,
    MODULES,
    NAMES,
    PRESET_LABELS,
    field_of,
    module_of,
    shown_values,
    size_of,
    value_of,
)
from training.runs.starting import Wish
from webapp.jobs.models import Job

SOURCES = 3  # of reward, that the form has room for
HELD_OUT = 2
SHAPE = ("alpha", "beta", "k", "win_rate", "preservation", "form")
NUMBER = {"step": "any"}
FORM_LABELS = {"add": _("a share of the reward"), "times": _("a factor of the reward")}


class ShapeForm(forms.Form):
    """How scores become a reward. What is left empty has its usual value."""

    alpha = forms.FloatField(label=_("α: how steep"), required=False, widget=forms.NumberInput(attrs=NUMBER))
    beta = forms.FloatField(
        label=_("β: where"), required=False, widget=forms.NumberInput(attrs=NUMBER),
        help_text=_("The reward is sigmoid(α · score − β), with the score brought to 0 to 5. At β / α it is a half."),
    )  # fmt: skip
    k = forms.FloatField(
        label=_("Doubt taken off, k of μ − k·σ"), required=False, widget=forms.NumberInput(attrs=NUMBER),
        help_text=_("For judges that tell of their doubt. Holds the editor back where the judge is unsure."),
    )  # fmt: skip
    win_rate = forms.BooleanField(
        label=_("Reward by the share of its group that an edit beats, instead of α and β"), required=False
    )
    preservation = forms.FloatField(
        label=_("Weight of what is left alone outside the edit"), required=False,
        widget=forms.NumberInput(attrs=NUMBER), help_text=_("From 0 to 1."),
    )  # fmt: skip
    form = forms.ChoiceField(
        label=_("It counts as"), choices=[(name, FORM_LABELS.get(name, name)) for name in FORMS], required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("alpha", "beta", "k", "preservation"):
            self.fields[name].widget.attrs["placeholder"] = f"{getattr(RewardSpec(), name):g}"

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        for name in SHAPE:
            value = data.get(name)
            if value not in (None, "") and not REWARD_CHECKS[name].test(value):
                self.add_error(name, _t("This must be %(what)s.") % {"what": REWARD_CHECKS[name].words})
        if not self.errors:
            try:
                data["shape"] = RewardSpec.from_json(given_shape(data))
            except WrongReward as error:
                self.add_error(None, str(error))
        return data


def given_shape(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in SHAPE if data.get(name) not in (None, "")}


class RunForm(ShapeForm):
    """A setting that is left empty has the preset's value for the base editor."""

    name = forms.CharField(label=_("Name of the trained editor"), max_length=115)
    base = forms.ModelChoiceField(
        label=_("Base editor"),
        queryset=Editor.objects.filter(module__in=MODULES, settings__lora__isnull=True).order_by("slug"),
        to_field_name="slug",
        help_text=_("Editors that can be post-trained and have no LoRA yet."),
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False)

    dataset = forms.ModelChoiceField(
        label=_("Data set"), queryset=Dataset.objects.order_by("-id"), to_field_name="slug",
        help_text=_("Its development part is what the run is looked at with. Nothing is learned from those pictures."),
    )  # fmt: skip
    split = forms.ChoiceField(
        label=_("Learn from the part"), initial=Split.TRAIN,
        choices=[(value, label) for value, label in Split.choices if value != Split.DEV],
        help_text=_("A benchmark is fair on parts that nothing was learned from."),
    )  # fmt: skip
    tasks = forms.ModelMultipleChoiceField(
        label=_("Tasks (none chosen: all)"), required=False, widget=forms.CheckboxSelectMultiple,
        queryset=Task.objects.filter(cases__isnull=False).distinct(),
    )  # fmt: skip
    limit = forms.IntegerField(label=_("At most so many cases (empty: all)"), min_value=2, required=False)

    labelled_set = forms.ModelChoiceField(
        label=_("Edits that people have ordered"), required=False, to_field_name="slug", empty_label=_("none"),
        queryset=LabelledSet.objects.filter(state=SetState.READY).order_by("-id"),
        help_text=_("A training set: its train part is learned from. For global-dpo and sft-topk."),
    )  # fmt: skip
    dimension = forms.CharField(
        label=_("Dimension of the training set"), max_length=80, required=False,
        help_text=_("By its key. Empty: the mean of all."),
    )  # fmt: skip
    scored_by = forms.ModelChoiceField(
        label=_("Edits of the data set, as scored by"), required=False, to_field_name="slug", empty_label=_("none"),
        queryset=Judge.objects.order_by("slug"),
    )  # fmt: skip

    watch = forms.BooleanField(
        label=_("Watch for reward hacking"), required=False,
        help_text=_("The run pauses and asks where the trained reward rises and the held-out judge falls."),
    )  # fmt: skip
    preset = forms.ChoiceField(
        label=_("Preset"), choices=[(name, PRESET_LABELS.get(name, name)) for name in PRESETS], initial="fast",
        help_text=_("Every setting below that is left empty has the value of the preset for that editor."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["initial"] = {"watch": True, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        self._add_judges()
        self.known = {editor.slug: editor.module for editor in Editor.objects.filter(module__in=MODULES)}
        named, base = self["preset"].value(), str(self["base"].value() or "")
        module = self.known.get(base) or next(iter(self.known.values()), "")
        shown = shown_values(preset(named if named in PRESETS else "fast", module))
        for name in NAMES:
            self.fields[name] = field_of(name, shown[name])

    def _add_judges(self) -> None:
        choices = [("", _("none")), *judges.choices()]
        for place in range(1, SOURCES + 1):
            label = _t("Reward by") if place == 1 else _t("and by")
            self.fields[f"reward_{place}"] = forms.ChoiceField(label=label, choices=choices, required=False)
            self.fields[f"weight_{place}"] = forms.FloatField(
                label=_t("Weight"), required=False, min_value=0, max_value=1000,
                widget=forms.NumberInput(attrs={**NUMBER, "placeholder": "1"}),
            )  # fmt: skip
        for place in range(1, HELD_OUT + 1):
            label = _t("Held-out judge") if place == 1 else _t("and")
            help_text = _t("Never trained on. It tells whether the gain is real.") if place == 1 else ""
            self.fields[f"held_out_{place}"] = forms.ChoiceField(
                label=label, choices=choices, required=False, help_text=help_text
            )

    # What the page shows ---------------------------------------------------------------------------------------------

    def sources(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        return [(self[f"reward_{n}"], self[f"weight_{n}"]) for n in range(1, SOURCES + 1)]

    def held_out(self) -> list[forms.BoundField]:
        return [self[f"held_out_{n}"] for n in range(1, HELD_OUT + 1)]

    def first(self) -> list[forms.BoundField]:
        return [self[name] for name in FIRST]

    def folded(self) -> list[forms.BoundField]:
        return [self[name] for name in FOLDED]

    def folded_open(self) -> bool:
        return any(field.errors or field.value() not in ("", None) for field in self.folded())

    def examples_open(self) -> bool:
        return any(self[name].errors or self[name].value() for name in ("labelled_set", "dimension", "scored_by"))

    def modules(self) -> dict[str, str]:
        """The size of each base editor, for the presets that the page shows."""
        return {slug: size_of(module) for slug, module in self.known.items()}

    def shape(self) -> dict[str, Any]:
        """As far as it is given and right: for the curve beside the fields."""
        if self.is_bound and "shape" in getattr(self, "cleaned_data", {}):
            return dict(self.cleaned_data["shape"].to_json())
        return {name: value for name in SHAPE if (value := self.initial.get(name)) not in (None, "")}

    # What is asked for -----------------------------------------------------------------------------------------------

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if not slugify(name)[:80].strip("-_"):
            raise ValidationError(_t("Use at least one Latin letter or digit."))
        return name

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        for name in NAMES:
            value = value_of(name, data.get(name))
            if value is not None and not CHECKS[name].test(value):
                self.add_error(name, _t("This must be %(what)s.") % {"what": CHECKS[name].words})
        chosen = [data.get(f"reward_{n}") for n in range(1, SOURCES + 1) if data.get(f"reward_{n}")]
        if len(set(chosen)) < len(chosen):
            self.add_error("reward_1", _t("The same judge is chosen twice. Give it a larger weight instead."))
        if data.get("labelled_set") and data.get("scored_by"):
            self.add_error("scored_by", _t("Choose a training set or the scores of a judge, not both."))
        if not self.errors:
            try:
                data["config"] = self._config()
            except WrongConfig as error:
                self.add_error(None, str(error))
        return data

    def _config(self) -> Config:
        data = self.cleaned_data
        given = {name: value_of(name, data.get(name)) for name in NAMES}
        given = {name: value for name, value in given.items() if value is not None}
        return Config.from_json({"preset": data["preset"], **given}, data["base"].module)

    def wish(self) -> Wish:
        data = self.cleaned_data
        rewards = {
            data[f"reward_{n}"]: 1.0 if data[f"weight_{n}"] is None else float(data[f"weight_{n}"])
            for n in range(1, SOURCES + 1)
            if data[f"reward_{n}"]
        }
        return Wish(
            name=data["name"],
            base=data["base"],
            config=data["config"],
            data=Wanted(
                dataset=str(data["dataset"].uid),
                split=data["split"],
                tasks=tuple(task.pk for task in data["tasks"]),
                limit=data["limit"] or 0,
                labelled_set=str(data["labelled_set"].uid) if data["labelled_set"] else "",
                dimension=data["dimension"],
                scored_by=data["scored_by"].slug if data["scored_by"] else "",
            ),
            rewards=rewards,
            held_out=tuple(dict.fromkeys(name for n in range(1, HELD_OUT + 1) if (name := data[f"held_out_{n}"]))),
            shape=data["shape"],
            watch=data["watch"],
            note=data["note"],
        )


def initial_of(job: Job) -> dict[str, Any]:
    """The form's values for a run like that one: only what differs from its preset is filled in."""
    config, data = job.config["config"], Wanted.from_json(job.config["data"])
    module = job.config["editor"]["module"]
    usual, shape = preset(config["preset"], module_of(size_of(module))), RewardSpec()
    found: dict[str, Any] = {"preset": config["preset"], "base": job.config["base"], "note": job.config["note"]}
    for name in NAMES:
        if (value := config[name]) != getattr(usual, name):
            found[name] = ("yes" if value else "no") if isinstance(value, bool) else value
    for one in fields(RewardSpec):
        if one.name in SHAPE and (value := job.config["reward"].get(one.name)) != getattr(shape, one.name):
            found[one.name] = value
    for place, (name, weight) in enumerate(job.config["judges"]["rewards"].items(), 1):
        found |= {f"reward_{place}": name, f"weight_{place}": weight}
    for place, name in enumerate(job.config["judges"]["held_out"], 1):
        found[f"held_out_{place}"] = name
    dataset = Dataset.objects.filter(uid=data.dataset).first()
    labelled_set = LabelledSet.objects.filter(uid=data.labelled_set).first() if data.labelled_set else None
    found |= {"split": data.split, "tasks": list(data.tasks), "limit": data.limit or None, "watch": job.config["watch"]}
    found |= {"dataset": dataset.slug if dataset else "", "labelled_set": labelled_set.slug if labelled_set else ""}
    return {**found, "dimension": data.dimension, "scored_by": data.scored_by, "name": f"{job.config['name']} 2"[:115]}


class NoteForm(forms.Form):
    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2}))
