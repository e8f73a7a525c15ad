"""Blind studies of an editor before and after its training."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from annotation.models import Editor, Study
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL


class Proof(Row):
    """``pairwise``: people choose between the two; ``ratings``: they give each 0 to 5. The same candidates in both."""

    base = models.ForeignKey(Editor, on_delete=models.PROTECT, related_name="proofs_as_base")
    trained = models.ForeignKey(Editor, on_delete=models.PROTECT, related_name="proofs")
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="proofs")
    pairwise = models.OneToOneField(Study, null=True, blank=True, on_delete=models.SET_NULL, related_name="proof")
    ratings = models.OneToOneField(Study, null=True, blank=True, on_delete=models.SET_NULL, related_name="proof_rated")
    settings = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(base=models.F("trained")), name="proof_of_two_editors")
        ]

    def get_absolute_url(self) -> str:
        return reverse("proof", args=[self.uid])
