"""The form in which a senior decides on an item: places or scores, one dimension or several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.protocols import RATING, Dimension, Protocol
from scoring.items.queries import Shown

NOTE_LENGTH = 5000


class DecisionForm(forms.Form):
    """A number for each candidate and dimension. A dimension that is left empty is not decided.

    After validation ``answers`` holds what ``adjudicate`` takes.
    """

    note = forms.CharField(
        label=gettext_lazy("Why"),
        required=False,
        max_length=NOTE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("One or two sentences for those who read this later."),
    )

    def __init__(self, data: Any = None, *, protocol: Protocol, candidates: Sequence[Shown]) -> None:
        super().__init__(data)
        self.protocol, self.candidates = protocol, candidates
        self.answers: dict[str, dict[str, Any]] = {}
        for dimension in protocol.dimensions:
            for shown in candidates:
                self.fields[self._name(dimension, shown)] = self._field(dimension, shown)

    def _name(self, dimension: Dimension, shown: Shown) -> str:
        return f"{dimension.key}-{shown.candidate.uid}"

    def _field(self, dimension: Dimension, shown: Shown) -> forms.Field:
        label = _("%(dimension)s of %(letter)s") % {"dimension": dimension.label, "letter": shown.letter}
        if self.protocol.kind == RATING:
            limits = {"min": dimension.low, "max": dimension.high, "step": dimension.step}
            return forms.FloatField(label=label, required=False, widget=forms.NumberInput(attrs=limits))
        return forms.IntegerField(label=label, required=False, min_value=1, max_value=len(self.candidates))

    def parts(self) -> dict[str, list[tuple[Shown, forms.BoundField]]]:
        """The fields by dimension."""
        return {
            dimension.key: [(shown, self[self._name(dimension, shown)]) for shown in self.candidates]
            for dimension in self.protocol.dimensions
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for dimension in self.protocol.dimensions:
            names = [self._name(dimension, shown) for shown in self.candidates]
            given = {str(s.candidate.uid): data.get(name) for s, name in zip(self.candidates, names, strict=True)}
            if any(name in self.errors for name in names) or all(value is None for value in given.values()):
                continue
            if None in given.values():
                words = _("%(name)s: give every candidate a number, or leave all of them empty.")
                self.add_error(None, words % {"name": dimension.label})
            else:
                self.answers[dimension.key] = self._answer(given)
        if not self.answers and not self.errors:
            self.add_error(None, _("Decide on one dimension at least."))
        return data

    def _answer(self, given: dict[str, Any]) -> dict[str, Any]:
        if self.protocol.kind == RATING:
            return {"scores": given}
        order = sorted(given, key=lambda uid: (given[uid], uid))
        return {"order": [list(tier) for _place, tier in groupby(order, key=given.__getitem__)]}
