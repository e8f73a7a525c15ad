"""The form that starts a job of proposals."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.instructions.propose import MOST_EACH
from annotation.models import Task
from webapp.endpoints.http import CHAT
from webapp.endpoints.models import Endpoint


class ProposeForm(forms.Form):
    endpoint = forms.ModelChoiceField(label=_("Endpoint"), queryset=Endpoint.objects.none(), empty_label=None)
    tasks = forms.MultipleChoiceField(
        label=_("Tasks"),
        widget=forms.SelectMultiple(attrs={"size": 10}),
        help_text=_("Hold Ctrl to choose several. HP-Edit's eight are chosen."),
    )
    count = forms.IntegerField(
        label=_("Instructions for each picture and task"), min_value=1, max_value=MOST_EACH, initial=1
    )
    limit = forms.IntegerField(label=_("At most so many pictures (empty: all)"), min_value=1, required=False)
    most_cost = forms.FloatField(
        label=_("Stop at a cost of"),
        min_value=0,
        required=False,
        help_text=_("In the currency of the endpoint's prices. What is under way at that moment still counts."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        endpoint, tasks = self.fields["endpoint"], self.fields["tasks"]
        assert isinstance(endpoint, forms.ModelChoiceField)
        assert isinstance(tasks, forms.MultipleChoiceField)
        endpoint.queryset = Endpoint.objects.filter(kind=CHAT).order_by("name")
        known = list(Task.objects.all())
        tasks.choices = [(task.slug, task.name) for task in known]
        tasks.initial = [task.slug for task in known if task.is_hp_edit]
