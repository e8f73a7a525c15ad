"""The forms of judges, and of scoring a data set."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset, Editor, Split
from scoring.asking import queries
from scoring.asking.backends import Backend
from scoring.asking.queries import Cell, Choice
from scoring.models import Judge, PromptVersion

SETTINGS = "set"  # the prefix of a backend's fields, which could be named as others are
MOST_PASSES = 32
VERSION = "version_"


def beside(form: forms.BaseForm, error: ValidationError) -> None:
    """Put a refusal beside the fields that it names, and the rest above the form."""
    found = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    for name, words in found.items():
        for text in words:
            form.add_error(name if name in form.fields else None, text)


class JudgeForm(forms.Form):
    """A judge's name and how often it is asked; ``settings`` is the form of its backend."""

    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("As people who score will read it."))
    passes = forms.IntegerField(
        label=_("Passes"),
        min_value=1,
        max_value=MOST_PASSES,
        initial=1,
        help_text=_("How often one prompt is asked. The score is the mean of what could be read; each pass costs."),
    )

    def __init__(self, data: Any = None, *, backend: Backend) -> None:
        super().__init__(data)
        self.settings = backend.form(data, prefix=SETTINGS)

    def is_valid(self) -> bool:
        return all([super().is_valid(), self.settings.is_valid()])  # both, so that every fault is shown at once

    def without_choice(self) -> list[str]:
        """Labels of fields from which nothing can be chosen yet."""
        fields = self.settings.fields.values()
        return [str(one.label) for one in fields if isinstance(one, forms.ChoiceField) and not one.choices]


class CostLimit(forms.Form):
    """For forms with the field ``most_cost``, a limit of spending."""

    def clean_most_cost(self) -> float | None:
        found: float | None = self.cleaned_data["most_cost"]
        if found is not None and not found > 0:
            raise ValidationError(_("A limit is more than 0. Leave it empty for no limit."))
        return found


class ScoreForm(CostLimit):
    """Which version scores each task of a data set, by which judge, and what of it."""

    judge = forms.ModelChoiceField(label=_("Judge"), queryset=Judge.objects.all(), to_field_name="slug")
    splits = forms.MultipleChoiceField(
        label=_("Splits (none chosen: all)"),
        required=False,
        choices=Split.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    editors = forms.MultipleChoiceField(
        label=_("Editors (none chosen: all)"), required=False, widget=forms.CheckboxSelectMultiple
    )
    most_cost = forms.FloatField(
        label=_("Spend at most"),
        required=False,
        help_text=_("In the currency of the endpoint's prices, shared out among the tasks. Empty: no limit."),
        widget=forms.NumberInput(attrs={"step": "any", "min": 0}),
    )

    def __init__(self, data: Any = None, *, dataset: Dataset, cells: list[Cell]) -> None:
        self.cells = cells
        tasks = queries.tasks_in(cells)
        self.choices: list[Choice] = queries.choices_of(tasks)
        super().__init__(data, initial={"judge": queries.usual_judge(self.choices)})
        made = {cell.editor for cell in cells}
        editors = Editor.objects.filter(pk__in=made)
        self.editor_keys = {row.slug: row.pk for row in editors}
        self._field("editors").choices = [(row.slug, row.name) for row in editors]
        for one in self.choices:
            self.fields[VERSION + one.task.pk] = forms.ChoiceField(
                label=one.task.name,
                required=False,
                choices=[("", _("do not score")), *((str(row.uid), str(row)) for row in one.versions)],
                initial=str(one.usual.uid) if one.usual else "",
                help_text=one.reason,
            )
        if data is None and self.initial["judge"]:
            self.is_bound, self.data = True, self._usual()  # the page opens with the estimate of the usual values

    def _field(self, name: str) -> forms.MultipleChoiceField:
        found = self.fields[name]
        assert isinstance(found, forms.MultipleChoiceField)
        return found

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and not self.wanted():
            raise ValidationError(_("Choose a version for at least one task."))
        return data

    def wanted(self) -> dict[str, PromptVersion]:
        """The chosen version of each task that is scored."""
        known = {str(row.uid): row for one in self.choices for row in one.versions}
        found = {one.task.pk: self.cleaned_data.get(VERSION + one.task.pk) for one in self.choices}
        return {task: known[uid] for task, uid in found.items() if uid}

    def task_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(VERSION)]

    def narrowing(self) -> list[forms.BoundField]:
        return [self["splits"], self["editors"], self["most_cost"]]

    def _usual(self) -> dict[str, Any]:
        values = {name: field.initial for name, field in self.fields.items() if field.initial}
        return values | {name: value for name, value in self.initial.items() if value}
