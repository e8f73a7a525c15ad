"""What people decided about annotators. Rows are only ever added."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.quality import Concern
from annotation.models.studies import Study
from webapp.core.models import Row

PERSON = settings.AUTH_USER_MODEL


class DecisionKind(models.TextChoices):
    DISMISS = "dismiss", _("No reason to act")
    WARN = "warn", _("Told")
    PAUSE = "pause", _("Paused")
    LIFT_PAUSE = "unpause", _("Pause lifted")
    EXCLUDE = "exclude", _("Excluded")
    LIFT_EXCLUSION = "include", _("Exclusion lifted")


class Decision(Row):
    """One decision about an annotator: by whom, when, and why.

    ``words`` are for the annotator, who reads them before more work; ``seen_at`` is when they said that they have.
    ``note`` is for the record alone.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="decisions")
    annotator = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
    concern = models.ForeignKey(Concern, null=True, blank=True, on_delete=models.SET_NULL, related_name="decisions")
    kind = models.CharField(max_length=7, choices=DecisionKind.choices)
    words = models.TextField(blank=True)
    note = models.TextField(blank=True)
    by = models.ForeignKey(PERSON, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=DecisionKind.values), name="decision_kind_known"),
            models.CheckConstraint(condition=~Q(kind="warn", words=""), name="decision_warning_has_words"),
        ]
        indexes = [
            models.Index(
                fields=["study", "annotator"], condition=Q(kind="warn", seen_at=None), name="decision_warning_unread"
            ),
            models.Index(fields=["study", "annotator", "id"], name="decision_of_annotator"),
        ]
