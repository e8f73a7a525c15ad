"""Addresses that are told of events, and what was sent to each."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import Role
from webapp.core.models import Row


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def at_work(self) -> "WebhookQuerySet":
        """Switched on, by somebody who may still see what they are told."""
        return self.filter(is_active=True, created_by__is_active=True, created_by__role__in=(Role.ADMIN, Role.ENGINEER))


class Webhook(Row):
    """``study_uid``: of one study alone; None: of all. ``secret_encrypted`` is opened to sign, and shown once.

    ``failures``: tries in a row that failed, whatever they carried. Until ``held_until`` nothing more is tried.
    """

    address = models.CharField(_("Address"), max_length=500)
    events = models.JSONField(_("Events"), default=list)
    study_uid = models.UUIDField(_("Study"), null=True, blank=True)  # studies live in a higher layer
    secret_encrypted = models.TextField(editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    is_active = models.BooleanField(default=True)
    note = models.CharField(max_length=300, blank=True)  # why it was switched off, if not by a person
    failures = models.PositiveIntegerField(default=0)
    held_until = models.DateTimeField(null=True, blank=True)

    objects = WebhookQuerySet.as_manager()

    def __str__(self) -> str:
        return self.address

    def get_absolute_url(self) -> str:
        return reverse("webhook", args=[self.uid])


class Delivery(Row):
    """One message for one webhook. ``body`` is sent byte for byte; ``event_id`` is the same for every receiver."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DELIVERED = "delivered", _("Delivered")
        GIVEN_UP = "given up", _("Given up")

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    event_id = models.UUIDField(default=uuid.uuid4)
    body = models.TextField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)  # of the last answer
    answer = models.CharField(max_length=500, blank=True)  # its beginning, or why there was none

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["webhook", "event_id"], name="delivery_once"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "delivered", "given up"]), name="delivery_state_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["webhook", "tries", "id"], condition=Q(state="waiting"), name="delivery_waiting")
        ]
