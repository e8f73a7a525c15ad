"""Services that are asked over HTTP: chat models that write and judge, and models that edit images."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from webapp.core.models import Row
from webapp.endpoints.http import CHAT, IMAGES

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

PRICES = ("price_input", "price_output", "price_image")
SLUG = RegexValidator(r"^[a-z0-9][a-z0-9._-]*$", _("Use small letters, digits, dot, hyphen and underscore."))
MOST_AT_ONCE = 64


class Kind(models.TextChoices):
    CHAT = CHAT, _("Chat with pictures (/chat/completions)")
    IMAGES = IMAGES, _("Edits of images (/images/edits)")


def _price(label: "StrPromise") -> "models.FloatField[float | None, float | None]":
    return models.FloatField(label, null=True, blank=True, validators=[MinValueValidator(0)])


class Endpoint(Row):
    """One model at one service. ``key_encrypted`` is opened by services.py alone, and shown nowhere."""

    slug = models.CharField(_("Short name"), max_length=80, unique=True, validators=[SLUG])
    name = models.CharField(_("Name"), max_length=120)
    kind = models.CharField(_("Kind"), max_length=6, choices=Kind.choices, default=Kind.CHAT)
    base_url = models.CharField(_("Base address"), max_length=500)
    model = models.CharField(_("Model"), max_length=200)
    key_encrypted = models.TextField(blank=True, editable=False)
    concurrency = models.PositiveSmallIntegerField(
        _("Requests at once"), default=4, validators=[MinValueValidator(1), MaxValueValidator(MOST_AT_ONCE)]
    )
    per_minute = models.PositiveIntegerField(_("Requests a minute (0: no limit)"), default=0)
    price_input = _price(_("Price of 1,000,000 input tokens"))
    price_output = _price(_("Price of 1,000,000 output tokens"))
    price_image = _price(_("Price of an image"))
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="endpoint_kind_known"),
            models.CheckConstraint(
                condition=Q(concurrency__gte=1, concurrency__lte=MOST_AT_ONCE), name="endpoint_concurrency_in_range"
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{name: None}) | Q(**{f"{name}__gte": 0}), name=f"endpoint_{name}_no_debt"
                )
                for name in PRICES
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("endpoint", args=[self.uid])

    @property
    def has_key(self) -> bool:
        return bool(self.key_encrypted)
