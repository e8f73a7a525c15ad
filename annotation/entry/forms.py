"""Forms of the way in: the viewing check, guidelines and reference items."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from annotation.answers import letters
from annotation.entry.marking import LEAST_TAU
from annotation.entry.services import WITH_REFERENCE
from annotation.entry.viewing import Measures
from annotation.models import Candidate, EntryDecision, Purpose, Study
from annotation.protocols import RANKING, RATING, Dimension

MEASURES = ("inner_width", "inner_height", "outer_width", "outer_height", "screen_width", "screen_height", "ratio")
UNMEASURED = _("The page could not measure the window. Use a browser with JavaScript and load the page again.")
FINE = 0.1  # a step below this counts as a continuous scale
PROBLEMS = {
    "zoom": _("The page is zoomed. Set the browser's zoom to 100 % with Ctrl and 0 (on a Mac ⌘ and 0)."),
    "width": _("The window is too narrow. Make it larger, or use a larger screen."),
    "grey": _(
        "Some grey digits were not read. Raise the screen's brightness, switch off a night or power-saving mode, keep "
        "light from falling on the screen, and look at it straight on."
    ),
    "colour": _("Some coloured digits were not read. Switch off colour filters and the night mode of the screen."),
}


class ViewingForm(forms.Form):
    """What the browser measured, and the digits that were read."""

    grey = forms.CharField(label=_("Digits in the grey chart"), max_length=40)
    colour = forms.CharField(label=_("Digits in the colour chart"), max_length=40)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (*MEASURES, "pinch"):
            self.fields[name] = forms.FloatField(widget=forms.HiddenInput, min_value=0, max_value=1e5, required=False)
        for name in ("grey", "colour"):
            self.fields[name].widget.attrs |= {"inputmode": "numeric", "autocomplete": "off"}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if any(data.get(name) is None for name in MEASURES):
            raise ValidationError(UNMEASURED)
        return data

    def measures(self) -> Measures:
        data = self.cleaned_data
        return Measures(**{name: data[name] for name in MEASURES}, pinch=data.get("pinch") or 1.0)


class GuidelinesForm(forms.Form):
    text = forms.CharField(
        label=_("Guidelines (Markdown)"), required=False, max_length=100_000, widget=forms.Textarea(attrs={"rows": 16})
    )
    note = forms.CharField(
        label=_("What changed"),
        required=False,
        max_length=200,
        help_text=_("One sentence for those who read the version before."),
    )


class ExampleForm(forms.Form):
    """One example: which candidate, which dimension, which score, why."""

    candidate = forms.UUIDField(widget=forms.HiddenInput)
    dimension = forms.ChoiceField(label=_("Dimension"))
    score = forms.FloatField(label=_("Score"))
    words = forms.CharField(label=_("Why"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, study: Study, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.picture: Candidate | None = None  # for the page
        field = self.fields["dimension"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(dimension.key, dimension.label) for dimension in study.protocol.dimensions]


class ReferenceForm(forms.Form):
    """The right answer to an item of these candidates, in the terms of the study's protocol."""

    purpose = forms.ChoiceField(label=_("For"), choices=[(one.value, one.label) for one in WITH_REFERENCE])

    def __init__(self, *args: Any, study: Study, candidates: Sequence[Candidate], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.study, self.candidates = study, list(candidates)
        makers = {RATING: self._ask_scores, RANKING: self._ask_order}
        makers.get(study.protocol.kind, self._ask_choice)()
        self.fields["feedback"] = forms.CharField(
            label=_("Why"),
            required=False,
            max_length=4000,
            widget=forms.Textarea(attrs={"rows": 3}),
            help_text=_("Shown in training, after the answer."),
        )
        self.fields["instruction"] = forms.CharField(
            label=_("Instruction of an attention check"),
            required=False,
            max_length=2000,
            help_text=_("Takes the place of the case's instruction, for example: give 2 for everything here."),
        )

    @property
    def named(self) -> list[tuple[str, Candidate]]:
        return list(zip(letters(len(self.candidates)), self.candidates, strict=True))

    def _ask_scores(self) -> None:
        for one in self.study.protocol.dimensions:
            self.fields[f"score_{one.key}"] = forms.FloatField(
                label=_("%(label)s: right score") % {"label": one.label},
                required=False,
                min_value=one.low,
                max_value=one.high,
                help_text=_("From %(low)g to %(high)g. Empty: it does not matter.")
                % {"low": one.low, "high": one.high},
            )
            self.fields[f"room_{one.key}"] = forms.FloatField(
                label=_("%(label)s: points either way that still count as right") % {"label": one.label},
                min_value=0,
                max_value=one.high - one.low,
                initial=_room(one),
            )

    def _ask_order(self) -> None:
        choices = [(one.key, one.label) for one in self.study.protocol.dimensions]
        self.fields["dimension"] = forms.ChoiceField(label=_("Dimension"), choices=choices)
        for letter, _candidate in self.named:
            self.fields[f"place_{letter}"] = forms.IntegerField(
                label=_("Right place of %(letter)s") % {"letter": letter},
                min_value=1,
                max_value=len(self.candidates),
                help_text=_("1 is best; equal numbers are a tie."),
            )
        self.fields["least_tau"] = forms.FloatField(
            label=_("Least agreement (Kendall's τ-b)"), min_value=-1, max_value=1, initial=LEAST_TAU
        )

    def _ask_choice(self) -> None:
        choices = [
            *((str(candidate.pk), _("%(letter)s is better") % {"letter": letter}) for letter, candidate in self.named),
            ("tie", _("Equally good")),
            ("both_bad", _("Both are bad")),
        ]
        self.fields["choice"] = forms.ChoiceField(label=_("Right answer"), choices=choices, widget=forms.RadioSelect)

    def answer(self) -> dict[str, Any]:
        """The reference answer of a valid form, as ``annotation.models.Reference`` keeps it."""
        data, protocol = self.cleaned_data, self.study.protocol
        if protocol.kind == RATING:
            scores = {one.key: data[f"score_{one.key}"] for one in protocol.dimensions}
            given = {key: score for key, score in scores.items() if score is not None}
            rooms = {one.key: data[f"room_{one.key}"] / one.step for one in protocol.dimensions if one.key in given}
            return {"scores": given, "tolerance": {key: round(room, 6) for key, room in rooms.items()}}
        if protocol.kind == RANKING:
            places: dict[int, list[int]] = {}
            for letter, candidate in self.named:
                places.setdefault(data[f"place_{letter}"], []).append(candidate.pk)
            return {"order": [places[place] for place in sorted(places)], "least_tau": data["least_tau"]}
        choice = data["choice"]
        return {"choice": int(choice) if choice.isdigit() else choice}

    def values(self) -> dict[str, Any]:
        """What the service takes besides the study and who adds it."""
        data = self.cleaned_data
        return {
            "candidates": self.candidates,
            "purpose": Purpose(data["purpose"]),
            "answer": self.answer(),
            "feedback": data["feedback"],
            "instruction": data["instruction"],
            "dimension": data.get("dimension", ""),
        }


def _room(dimension: Dimension) -> float:
    return 0.5 if dimension.step <= FINE else 0.0


class DecisionForm(forms.Form):
    kind = forms.ChoiceField(choices=EntryDecision.Kind.choices)
    note = forms.CharField(required=False, max_length=300)
