"""Forms of decisions about annotators."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import DecisionKind
from annotation.screening.words import draft

WORDS = 2000
ON_CONCERN = (DecisionKind.DISMISS, DecisionKind.WARN, DecisionKind.PAUSE, DecisionKind.EXCLUDE)
WITHOUT = (
    DecisionKind.WARN,
    DecisionKind.PAUSE,
    DecisionKind.LIFT_PAUSE,
    DecisionKind.EXCLUDE,
    DecisionKind.LIFT_EXCLUSION,
)
LABELS = {
    DecisionKind.DISMISS: _("No reason to act"),
    DecisionKind.WARN: _("Tell the annotator"),
    DecisionKind.PAUSE: _("Pause: no work until it is lifted"),
    DecisionKind.LIFT_PAUSE: _("Lift the pause"),
    DecisionKind.EXCLUDE: _("Exclude: the judgements stay and do not count"),
    DecisionKind.LIFT_EXCLUSION: _("Lift the exclusion"),
}


class DecisionForm(forms.Form):
    kind = forms.ChoiceField(label=_("Decision"))
    to_annotator = forms.CharField(
        label=_("Words for the annotator (told, paused)"),
        max_length=WORDS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    note = forms.CharField(
        label=_("Note for the record (an exclusion needs one)"),
        max_length=WORDS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, kinds: tuple[DecisionKind, ...], concern_kind: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [(kind.value, LABELS[kind]) for kind in kinds]  # type: ignore[attr-defined]
        if concern_kind:
            self.fields["to_annotator"].initial = draft(concern_kind)
