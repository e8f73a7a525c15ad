"""The forms of the pages of judgements made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.files.base import File
from django.utils.translation import gettext_lazy as _

from scoring.models import Nature


class ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One file or several; the cleaned value is always a list."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=ManyFiles(), **kwargs)

    def clean(self, data: Any, initial: Any = None) -> list[File[bytes]]:
        given = data if isinstance(data, list | tuple) else [data]
        return [super(FilesField, self).clean(one, initial) for one in given or [None]]


class JudgementsForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)
    uploads = FilesField(
        label=_("File"),
        help_text=_("CSV, JSON or TSV; .gz is unpacked. Several files only for ImagenHub's raters."),
    )
    source = forms.CharField(label=_("Where it comes from"), max_length=300, help_text=_("Who collected it, and when."))
    licence = forms.CharField(label=_("Licence"), max_length=120, required=False)
    nature = forms.ChoiceField(label=_("Who judged"), choices=Nature.choices, initial=Nature.PEOPLE)
    repeats = forms.BooleanField(
        label=_("Some annotators judged the same thing several times, on purpose"),
        required=False,
        help_text=_("Without this, a judgement that stands there twice is refused as a mistake."),
    )


class StudyForm(forms.Form):
    """A study to compare with: one that has the same candidates."""

    study = forms.ChoiceField(label=_("Study"))

    def __init__(self, *args: Any, studies: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["study"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(studies)
