"""The forms of the balance page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from annotation.curation.balance import HP_EDIT, HP_EDIT_BENCH, Cells, Recipe, even_targets, scaled
from annotation.models import Split, Task

MOST = 10_000_000
HP, BENCH, EVEN, OWN, EVERYTHING = "hp-edit", "hp-edit-bench", "even", "own", "all"
PRESETS = [
    (HP, _("HP-Edit, data set (Table S6)")),
    (BENCH, _("HP-Edit, benchmark (Table S6)")),
    (EVEN, _("The same for every task")),
    (OWN, _("Own numbers")),
    (EVERYTHING, _("All cases (a copy)")),
]


class BalanceForm(forms.Form):
    """Targets for the tasks of a data set. ``supply`` says which tasks it has and how many cases of each."""

    preset = forms.ChoiceField(label=_("Targets"), choices=PRESETS, initial=EVEN)
    total = forms.IntegerField(
        label=_("Cases in all"),
        help_text=_("Scales the targets to this sum. Empty: as they are."),
        min_value=1,
        max_value=MOST,
        required=False,
    )
    share = forms.IntegerField(
        label=_("Uncategorised, at most (%)"),
        help_text=_("Of each task's target. They fill only what the categories cannot."),
        min_value=0,
        max_value=100,
        initial=20,
    )
    seed = forms.IntegerField(label=_("Seed"), min_value=0, max_value=2**31 - 1, initial=1)

    def __init__(self, *args: Any, supply: Cells, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supply = supply
        for task in Task.objects.filter(pk__in=supply):
            there = sum(supply[task.pk].values())
            self.fields[f"target_{task.pk}"] = forms.IntegerField(
                label=task.name,
                min_value=0,
                max_value=MOST,
                required=False,
                help_text=_t("%(count)d there") % {"count": there},
            )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("preset") == OWN and not any(self._own().values()):
            raise ValidationError(_("Give at least one task a number."))
        return data

    def _own(self) -> dict[str, int]:
        return {task: self.cleaned_data.get(f"target_{task}") or 0 for task in self.supply}

    def own_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("target_")]

    def other_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if not name.startswith("target_")]

    def recipe(self) -> Recipe:
        data = self.cleaned_data
        preset, total = data["preset"], data["total"]
        if preset == EVERYTHING:
            counts = {task: sum(cells.values()) for task, cells in self.supply.items()}
            return Recipe(preset, counts, 1.0, data["seed"])
        if preset == EVEN:
            targets = even_targets(self.supply, total)
        else:
            targets = {HP: HP_EDIT, BENCH: HP_EDIT_BENCH, OWN: self._own()}[preset]
            targets = scaled(targets, total) if total else targets
        return Recipe(preset, targets, data["share"] / 100, data["seed"])


class SplitsForm(forms.Form):
    """The parts of a data set in percent."""

    near = forms.BooleanField(
        label=_("Near-duplicates stay together"),
        help_text=_("Needs the perceptual hashes of all source images."),
        required=False,
        initial=True,
    )
    seed = forms.IntegerField(label=_("Seed"), min_value=0, max_value=2**31 - 1, initial=1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parts = {Split.TRAIN: 80, Split.DEV: 10, Split.TEST: 10, Split.BENCH: 0}
        fields = {
            split.value: forms.FloatField(label=f"{split.label} (%)", min_value=0, max_value=100, initial=part)
            for split, part in parts.items()
        }
        self.fields = {**fields, **self.fields}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and abs(sum(data[split] for split in Split.values) - 100) > 0.01:
            raise ValidationError(_("The parts must sum to 100 %."))
        return data

    def part_fields(self) -> list[forms.BoundField]:
        return [self[split] for split in Split.values]

    def other_fields(self) -> list[forms.BoundField]:
        return [self["near"], self["seed"]]

    def fractions(self) -> dict[str, float]:
        whole = sum(self.cleaned_data[split] for split in Split.values)
        return {split: self.cleaned_data[split] / whole for split in Split.values}
