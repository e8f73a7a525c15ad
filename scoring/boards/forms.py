"""What the leaderboard is asked for: a dimension, a measure, and the weights of the overall score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.protocols import PAIRWISE, RATING, Protocol
from scoring.boards.standings import ALL
from scoring.results import WEIGHTED
from scoring.stats.mos import METHODS
from scoring.stats.pairs import OVERALL_WEIGHTS

MOS, WINS = "mos", "wins"
METHOD_LABELS = {
    "mean": gettext_lazy("plain mean, in the units of the protocol"),
    "zscore": gettext_lazy("z-scores, 0 to 100"),
    "corrected": gettext_lazy("freed of annotators' biases (corrected)"),
    "p910": gettext_lazy("freed of annotators' biases (P.910)"),
}
MOST = 1000.0


@dataclass(frozen=True)
class Options:
    """``by``: what the tables and the overall score are made of, MOS or wins. ``weights``: as they were given; they are
    divided by their sum, so that the overall score is a weighted mean whatever they add to."""

    dimension: str
    by: str
    method: str
    weights: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.weights.values())

    @property
    def query(self) -> str:
        """The same options in an address."""
        shown = {"dimension": self.dimension, "by": self.by, "method": self.method}
        return urlencode({**shown, **{f"weight_{key}": f"{value:g}" for key, value in self.weights.items()}})


def usual_weights(protocol: Protocol) -> dict[str, float]:
    """0.3, 0.4, 0.3 where the three dimensions of EditHF-1M are asked for; else all alike."""
    keys = [dimension.key for dimension in protocol.dimensions]
    if set(keys) == set(WEIGHTED):
        return dict(zip(WEIGHTED, OVERALL_WEIGHTS, strict=True))
    return dict.fromkeys(keys, 1.0)


class LeaderboardForm(forms.Form):
    """``options()`` are the usual ones wherever the address does not say otherwise, or says something impossible."""

    def __init__(self, data: Any, protocol: Protocol) -> None:
        super().__init__(data)
        self.protocol = protocol
        dimensions = [(dimension.key, dimension.label) for dimension in protocol.dimensions]
        if len(dimensions) > 1:
            dimensions = [(ALL, _("All together")), *dimensions]
        self.fields["dimension"] = forms.ChoiceField(label=_("Dimension"), choices=dimensions, required=False)
        measures = [(WINS, _("Wins"))] if protocol.kind == PAIRWISE else [(MOS, _("Opinion score")), (WINS, _("Wins"))]
        self.fields["by"] = forms.ChoiceField(label=_("Measure"), choices=measures, required=False)
        methods = [(name, METHOD_LABELS[name]) for name in METHODS] if protocol.kind != PAIRWISE else [("mean", "")]
        methods.sort(key=lambda pair: pair[0] != "mean")
        self.fields["method"] = forms.ChoiceField(label=_("Opinion scores are"), choices=methods, required=False)
        if protocol.kind == PAIRWISE:
            self.fields["method"].widget = forms.HiddenInput()
        if len(protocol.dimensions) > 1:
            for dimension in protocol.dimensions:
                self.fields[f"weight_{dimension.key}"] = forms.FloatField(
                    label=_("Weight of %(name)s") % {"name": dimension.label},
                    min_value=0,
                    max_value=MOST,
                    required=False,
                    widget=forms.NumberInput(attrs={"step": "any"}),
                )
        usual = self.usual()
        shown = {"by": usual.by, "method": usual.method, "dimension": usual.dimension}
        self.initial = {**shown, **{f"weight_{key}": value for key, value in usual.weights.items()}}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        weights = [data.get(name) for name in self.fields if name.startswith("weight_")]
        if weights and all(value == 0 for value in weights):
            raise ValidationError(
                _("All weights are 0: nothing is left to weigh. Give at least one dimension a weight.")
            )
        return data

    def usual(self) -> Options:
        protocol = self.protocol
        dimension = ALL if len(protocol.dimensions) > 1 else protocol.dimensions[0].key
        return Options(dimension, MOS if protocol.kind == RATING else WINS, "mean", usual_weights(protocol))

    def options(self) -> Options:
        usual = self.usual()
        if not self.is_bound or not self.is_valid():
            return usual
        data = self.cleaned_data
        weights = {key: data.get(f"weight_{key}") for key in usual.weights}
        return Options(
            dimension=data["dimension"] if "dimension" in self.data else usual.dimension,
            by=data["by"] or usual.by,
            method=data["method"] or usual.method,
            weights={key: usual.weights[key] if value is None else value for key, value in weights.items()},
        )
