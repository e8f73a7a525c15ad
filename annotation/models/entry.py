"""What a person decided about an annotator's way in."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.studies import Member
from webapp.core.models import Row


class EntryDecision(Row):
    """One more try at the qualification, or let in without it: who said so, when and why. Rows are only ever added."""

    class Kind(models.TextChoices):
        TRY = "try", _("One more try")
        LET_IN = "let_in", _("Let in by hand")

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="entry_decisions")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    note = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(kind__in=["try", "let_in"]), name="entry_decision_known")]
