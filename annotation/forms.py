"""Forms for imports and studies."""

from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset, Editor
from annotation.protocols import DUELS, PAIRWISE, PRESET_LABELS, PRESETS, RANKING, Protocol
from webapp.accounts.models import User

LARGEST_BLOCK = 23  # letters A … W


class UploadForm(forms.Form):
    """A zip with a manifest, into a data set that exists or a new one."""

    name = forms.CharField(label=_("Name of the data set"), max_length=120)
    archive = forms.FileField(label=_("Zip file with images and a manifest"))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not slugify(name):
            raise ValidationError(_("Use at least one letter or digit."))
        if Dataset.objects.filter(slug=slugify(name)).exists():
            raise ValidationError(_("There is a data set of this name already. Open it to import more into it."))
        return name


class UploadIntoForm(forms.Form):
    archive = forms.FileField(label=_("Zip file with images and a manifest"))


def _count(label: Any, most: int, least: int = 1, help_text: Any = "") -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=least, max_value=most, required=False, help_text=help_text)


def _percent(label: Any, help_text: Any = "", least: int = 0) -> forms.IntegerField:
    return _count(label, 100, least, help_text)


@dataclass(frozen=True)
class Fold:
    """A part of the form that is folded until it is needed."""

    title: Any
    words: Any
    fields: list[forms.BoundField]

    @property
    def is_open(self) -> bool:
        return any(field.errors for field in self.fields)


SPLITS = ("train", "dev", "test", "bench")
FOLDS: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    "panel": (
        _("Raters by split, and large groups"),
        _("More people for the cases that count most, such as 15 for a test split. Large groups are ranked in blocks."),
        (*(f"raters_{split}" for split in SPLITS), "block", "block_times"),
    ),
    "entry": (
        _("Before live work"),
        _("What an annotator passes first. Training and qualification begin when you give the study items for them."),
        ("consent", "viewing", "least_width", "pass_mark", "tries"),
    ),
    "checks": (
        _("Hidden checks and warnings"),
        _("What watches live work; empty or 0 is off. Each finding is shown to you to decide on. Nothing is deleted."),
        (
            *("gold_every", "attention_every", "repeat_every", "source_share", "duplicate_share"),
            *("least_seconds", "straight_run", "allowed", "least"),
        ),
    ),
}


class StudyForm(forms.Form):
    """A new study from a preset; what is left empty keeps the preset's value."""

    name = forms.CharField(label=_("Name"), max_length=120)
    dataset = forms.ModelChoiceField(label=_("Data set"), queryset=Dataset.objects.none())
    preset = forms.ChoiceField(label=_("Protocol"), choices=list(PRESET_LABELS.items()))
    editors = forms.ModelMultipleChoiceField(
        label=_("Editors (none chosen: all)"), queryset=Editor.objects.none(), required=False
    )
    sample = forms.IntegerField(
        label=_("At most so many candidates of a case (empty: all)"),
        min_value=1,
        required=False,
        help_text=_("Drawn at random for every case. Candidates that were set aside are left out in any case."),
    )
    raters = _count(_("Raters per item"), 100)
    duels = forms.ChoiceField(
        label=_("Duels inside shelves"),
        choices=[
            ("", _("As the preset says")),
            ("none", _("None")),
            ("extremes", _("Best and worst shelf")),
            ("all", _("All")),
        ],
        required=False,
        help_text=_("For rankings. Pairs for training come mostly from the best and the worst shelf."),
    )
    session_minutes = _count(_("Minutes until a break"), 240)
    guidelines = forms.CharField(label=_("Guidelines (Markdown)"), widget=forms.Textarea, required=False)

    raters_train = _count(_("Raters per item of the training split"), 100)
    raters_dev = _count(_("Raters per item of the development split"), 100)
    raters_test = _count(_("Raters per item of the test split"), 100)
    raters_bench = _count(_("Raters per item of the benchmark split"), 100)
    block = _count(
        _("Candidates on one screen"),
        LARGEST_BLOCK,
        2,
        _("For rankings. Larger groups are shown in blocks of so many, such as 5. Empty: the whole group at once."),
    )
    block_times = _count(
        _("Blocks that each candidate is in"),
        10,
        2,
        _("3 if empty. More give a surer joint ranking and take more work: each block goes to as many raters."),
    )

    consent = forms.CharField(
        label=_("Consent (Markdown)"),
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=20_000,
        required=False,
        help_text=_("What annotators agree to before anything else. Empty: they are not asked."),
    )
    viewing = forms.BooleanField(
        label=_("Check the window and the screen"),
        required=False,
        help_text=_("Width of the window, zoom, and whether all steps of a grey and a colour chart can be seen."),
    )
    least_width = _count(_("Least width of the window, in CSS pixels"), 8000, 320, _("1,024 if empty."))
    pass_mark = _percent(_("Pass mark of the qualification, in percent"), _("80 if empty."), 1)
    tries = _count(_("Tries at the qualification"), 20, 1, _("2 if empty."))

    gold_every = _count(_("A gold item about every so many items"), 1000, 0, _("Gold items have a known answer."))
    attention_every = _count(
        _("An attention check about every so many items"), 1000, 0, _("Its instruction says what to answer.")
    )
    repeat_every = _count(
        _("A repeated item about every so many items"), 1000, 0, _("Does the annotator answer the same again?")
    )
    source_share = _percent(
        _("Groups with the untouched source among them, in percent"),
        _("It keeps everything and follows no instruction. In a study of scores: share of the cases."),
    )
    duplicate_share = _percent(_("Groups with one candidate twice, in percent"), _("Both should get the same answer."))
    least_seconds = forms.FloatField(
        label=_("An answer is hasty below so many seconds"), min_value=0, max_value=600, required=False
    )
    straight_run = _count(_("So many equal answers in a row are a straight line"), 1000, 0)
    allowed = _percent(_("Failed checks that are still borne, in percent"), _("30 if empty."))
    least = _count(_("Checks before anything is said"), 1000, 1, _("5 if empty."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choices("dataset", Dataset.objects.order_by("name"))
        self._choices("editors", Editor.objects.makers().order_by("slug"))

    def _choices(self, name: str, rows: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = rows

    @property
    def plain(self) -> list[forms.BoundField]:
        """The fields that are always seen."""
        folded = {name for _title, _words, names in FOLDS.values() for name in names}
        return [field for field in self.visible_fields() if field.name not in folded]

    @property
    def folds(self) -> list[Fold]:
        return [Fold(title, words, [self[name] for name in names]) for title, words, names in FOLDS.values()]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        kind = PRESETS[data["preset"]].kind if "preset" in data else RANKING
        if data.get("block") and kind != RANKING:
            self.add_error("block", _("Blocks are for rankings. Leave this empty for scores and comparisons."))
        for name in ("source_share", "duplicate_share"):
            if data.get(name) and kind == PAIRWISE:
                self.add_error(name, _("A comparison of two has no place for it. Use it with scores or rankings."))
        return data

    def protocol(self) -> Protocol:
        data = self.cleaned_data
        preset = PRESETS[data["preset"]]
        chosen = self._given("raters", "session_minutes", "block", "block_times")
        if preset.kind == RANKING and data.get("duels") in DUELS:
            chosen["duels"] = data["duels"]
        by_split = {split: data[f"raters_{split}"] for split in SPLITS if data.get(f"raters_{split}")}
        entry = self._given("consent", "viewing", "least_width", "tries") | self._shares("pass_mark")
        checks = self._given("gold_every", "attention_every", "repeat_every", "least_seconds", "straight_run", "least")
        checks |= self._shares("source_share", "duplicate_share", "allowed")
        return replace(
            preset,
            split_raters=preset.split_raters | by_split,
            entry=replace(preset.entry, **entry),
            checks=replace(preset.checks, **checks),
            **chosen,
        )

    def _given(self, *names: str) -> dict[str, Any]:
        """What was filled in. An unticked box and an empty text say nothing, a 0 does."""
        values = {name: self.cleaned_data.get(name) for name in names}
        return {
            name: value for name, value in values.items() if value is not None and value is not False and value != ""
        }

    def _shares(self, *names: str) -> dict[str, float]:
        return {name: percent / 100 for name, percent in self._given(*names).items()}


class MemberForm(forms.Form):
    user = forms.ModelChoiceField(label=_("Person"), queryset=User.objects.filter(is_active=True).order_by("username"))
