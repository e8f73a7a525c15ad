"""The forms of benchmarks."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models import Task
from scoring.models import Judge, PromptVersion
from training.benchmarks.services import LAYOUTS, label_of
from training.models import Benchmark, LabelledSet


class ImportForm(forms.Form):
    """Published files, as they lie in a folder on the server."""

    name = forms.CharField(label=_("Name"), max_length=120)
    layout = forms.ChoiceField(label=_("Benchmark"))
    folder = forms.CharField(
        label=_("Folder"), max_length=300, help_text=_("Beneath the incoming folder of the server, such as imagenhub.")
    )
    task = forms.ModelChoiceField(
        label=_("Task of cases that name none"), queryset=Task.objects.order_by("name"), required=False
    )
    notice = forms.CharField(
        label=_("What every page is to say of it"),
        max_length=200,
        required=False,
        help_text=_("For example, that its data are for research only."),
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["layout"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, label_of(name)) for name in LAYOUTS]


class MakeForm(forms.Form):
    """A labelled set that is ready and no benchmark yet."""

    labelled_set = forms.ModelChoiceField(
        label=_("Set"), queryset=LabelledSet.objects.none(), to_field_name="slug", empty_label=None
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["labelled_set"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = LabelledSet.objects.filter(state="ready", benchmark__isnull=True).order_by("name")


class RunForm(forms.Form):
    """A judge, and a version of a prompt that is for every task, or for the one task of the benchmark."""

    judge = forms.ModelChoiceField(label=_("Judge"), queryset=Judge.objects.order_by("name"), to_field_name="slug")
    version = forms.ModelChoiceField(
        label=_("Prompt"),
        queryset=PromptVersion.objects.none(),
        to_field_name="uid",
        help_text=_("Prompts for every task, the newest version first."),
    )

    def __init__(self, data: Any = None, *, benchmark: Benchmark) -> None:
        super().__init__(data)
        tasks = list(benchmark.labelled_set.facts.get("tasks", {}))
        fits = Q(prompt__task__isnull=True) | (Q(prompt__task=tasks[0]) if len(tasks) == 1 else Q(pk__in=[]))
        rows = (
            PromptVersion.objects.filter(fits, is_trial=False)
            .select_related("prompt")
            .order_by("prompt__name", "-number")
        )
        field = self.fields["version"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = rows
