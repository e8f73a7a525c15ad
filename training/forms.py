"""The form that starts a generation job."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation import queries
from annotation.models import Dataset, Editor, Split


class GenerationForm(forms.Form):
    editors = forms.ModelMultipleChoiceField(
        label=_("Editors"), queryset=Editor.objects.exclude(module=""), widget=forms.CheckboxSelectMultiple
    )
    seeds = forms.IntegerField(label=_("Candidates of each case and editor"), min_value=1, max_value=100, initial=1)
    tasks = forms.MultipleChoiceField(
        label=_("Tasks (none chosen: all)"), required=False, widget=forms.CheckboxSelectMultiple
    )
    splits = forms.MultipleChoiceField(
        label=_("Splits (none chosen: all)"),
        required=False,
        choices=Split.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    sample = forms.IntegerField(
        label=_("Editors drawn for each case (empty: all)"),
        min_value=1,
        required=False,
        help_text=_("A random choice of the editors above for every case, so that each is compared with all others."),
    )
    limit = forms.IntegerField(label=_("At most so many cases (empty: all)"), min_value=1, required=False)

    def __init__(self, *args: Any, dataset: Dataset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tasks = self.fields["tasks"]
        assert isinstance(tasks, forms.MultipleChoiceField)
        tasks.choices = [(task.slug, f"{task.name} ({count})") for task, count in queries.tasks_of(dataset)]
