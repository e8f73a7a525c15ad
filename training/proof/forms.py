"""The form that begins a proof."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset, Editor, Split, Task
from training.models import TrainedEditor
from training.proof.plan import MOST_CASES, MOST_RATERS, MOST_SEEDS
from training.proof.queries import annotators
from training.proof.starting import Wish


class ProofForm(forms.Form):
    """``trained``: the editor that is to be proven better."""

    base = forms.ModelChoiceField(label=_("Compared with"), queryset=Editor.objects.makers().order_by("slug"))
    dataset = forms.ModelChoiceField(label=_("Data set"), queryset=Dataset.objects.order_by("name"))
    split = forms.ChoiceField(
        label=_("Part of it"), choices=[("", _("Any")), *Split.choices], required=False, initial=Split.TEST.value
    )
    cases = forms.IntegerField(
        label=_("Cases"),
        min_value=1,
        max_value=MOST_CASES,
        initial=50,
        help_text=_("Drawn by chance. Source images that the training learned from are left out."),
    )
    seeds = forms.IntegerField(
        label=_("Seeds of each case"),
        min_value=1,
        max_value=MOST_SEEDS,
        initial=1,
        help_text=_("Both editors begin from the same seeds. Images that are missing are made first."),
    )
    tasks = forms.ModelMultipleChoiceField(
        label=_("Tasks (none chosen: all)"),
        queryset=Task.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    people = forms.ModelMultipleChoiceField(
        label=_("Who judges"),
        queryset=annotators(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("People who only annotate: engineers and admins can look up who made an image."),
    )
    later = forms.BooleanField(
        label=_("I add people later, on the pages of the studies"),
        required=False,
        help_text=_("By a link for somebody without an account, or simulated annotators for the drawn world."),
    )
    raters = forms.IntegerField(
        label=_("Raters per item"), min_value=1, max_value=MOST_RATERS, initial=3, help_text=_("Different people.")
    )
    pairwise = forms.BooleanField(label=_("Choices: which of the two is better"), required=False, initial=True)
    ratings = forms.BooleanField(label=_("Ratings: 0 to 5 for each by itself"), required=False, initial=True)

    def __init__(self, *args: Any, trained: Editor, **kwargs: Any) -> None:
        card = TrainedEditor.objects.filter(editor=trained).first()
        start = {"base": card.base_id if card else None, "dataset": _dataset_of(card)}
        kwargs["initial"] = {**start, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        base, tasks = self.fields["base"], self.fields["tasks"]
        assert isinstance(base, forms.ModelChoiceField) and isinstance(tasks, forms.ModelMultipleChoiceField)
        base.queryset = Editor.objects.makers().exclude(pk=trained.pk).order_by("slug")
        tasks.queryset = Task.objects.filter(cases__isnull=False).distinct()

    def wish(self) -> Wish:
        data = self.cleaned_data
        return Wish(
            dataset=data["dataset"],
            cases=data["cases"],
            split=data["split"],
            tasks=tuple(task.pk for task in data["tasks"]),
            seeds=data["seeds"],
            raters=data["raters"],
            pairwise=data["pairwise"],
            ratings=data["ratings"],
            people=tuple(data["people"]),
            later=data["later"],
        )


def _dataset_of(card: TrainedEditor | None) -> int | None:
    """The data set that the training was about."""
    uid = (card.data.get("wanted") or {}).get("dataset") if card else None
    return Dataset.objects.filter(uid=uid).values_list("pk", flat=True).first() if uid else None
