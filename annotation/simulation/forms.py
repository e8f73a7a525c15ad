"""The form that starts a simulation."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.simulation.annotators import BIASED, HONEST, KINDS, NOISY, RANDOM, REVERSED, STRAIGHT
from annotation.simulation.run import LARGEST_SEED, MOST

LABELS = {
    HONEST: _("Honest"),
    BIASED: _("Biased"),
    NOISY: _("Noisy"),
    STRAIGHT: _("Straight-lining"),
    RANDOM: _("Random"),
    REVERSED: _("Reversed"),
}
DEFAULTS = {HONEST: 5, BIASED: 1, NOISY: 1, STRAIGHT: 0, RANDOM: 0, REVERSED: 0}


class SimulationForm(forms.Form):
    """How many annotators of each kind, and the seed of their answers."""

    seed = forms.IntegerField(label=_("Seed"), min_value=0, max_value=LARGEST_SEED, initial=1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind in KINDS:
            self.fields[kind] = forms.IntegerField(
                label=LABELS[kind], min_value=0, max_value=MOST, initial=DEFAULTS[kind]
            )
        self.order_fields([*KINDS, "seed"])

    def annotators(self) -> dict[str, int]:
        return {kind: self.cleaned_data[kind] for kind in KINDS}
