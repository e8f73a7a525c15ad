"""Who says what a source image shows: a person at the tagging page, or a model in a job. One interface for both.

Whatever it is, a categoriser hands in verdicts, and ``services.record`` keeps them: a person's word stands against any
model's. A new categoriser is one value, registered in its app's ``apps.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django import forms
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset
from webapp.accounts.models import User

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

PERSON = "person"


@dataclass(frozen=True)
class Verdict:
    """What is said of one image (its primary key). ``category`` None: no category fits, or none well enough."""

    image: int
    category: str | None
    method: str  # PERSON, or the model
    score: float | None = None  # a model's certainty, 0 to 1


@dataclass(frozen=True)
class Categoriser:
    """One way to categorise. ``form`` asks what it must be told; what that form has cleaned are ``begin``'s options.

    ``begin(dataset=…, by=…, **options)`` starts it on a data set's source images and returns the address where it goes
    on, a page or a job. It raises ValidationError where it cannot.
    """

    name: str
    label: str | StrPromise
    explanation: str | StrPromise
    begin: Callable[..., str]
    form: type[forms.Form] = forms.Form


_categorisers: dict[str, Categoriser] = {}


def register(categoriser: Categoriser) -> None:
    _categorisers[categoriser.name] = categoriser


def categorisers() -> list[Categoriser]:
    return list(_categorisers.values())


def _to_the_tagging_page(*, dataset: Dataset, by: User) -> str:
    return reverse("tagging", args=[dataset.uid])


BY_HAND = Categoriser(
    name=PERSON,
    label=_("By hand"),
    explanation=_("One picture after the other, by keyboard. What a person says stands against any model."),
    begin=_to_the_tagging_page,
)
