"""Blind studies of an editor before and after its training."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import Dataset, Editor, Study
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL


class ProofState(models.TextChoices):
    WAITING = "waiting", gettext_lazy("Waits for its images")
    OPEN = "open", gettext_lazy("With the annotators")
    STOPPED = "stopped", gettext_lazy("Stopped")


class Proof(Row):
    """``pairwise``: people choose between the two; ``ratings``: they give each 0 to 5. The same candidates in both.

    ``job``: the training. ``generation``: the job that makes the images that were missing; the studies are made when it
    is done. ``settings``: what was asked for (``training.proof.plan.Plan``), and ``lost``: pairs that lack an image.
    """

    base = models.ForeignKey(Editor, on_delete=models.PROTECT, related_name="proofs_as_base")
    trained = models.ForeignKey(Editor, on_delete=models.PROTECT, related_name="proofs")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="proofs")
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="proofs")
    generation = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    pairwise = models.OneToOneField(Study, null=True, blank=True, on_delete=models.SET_NULL, related_name="proof")
    ratings = models.OneToOneField(Study, null=True, blank=True, on_delete=models.SET_NULL, related_name="proof_rated")
    state = models.CharField(max_length=7, choices=ProofState.choices, default=ProofState.WAITING)
    message = models.TextField(blank=True)
    settings = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(base=models.F("trained")), name="proof_of_two_editors"),
            models.CheckConstraint(condition=Q(state__in=ProofState.values), name="proof_state_known"),
        ]

    def __str__(self) -> str:
        return _("%(trained)s against %(base)s") % {"trained": self.trained.name, "base": self.base.name}

    def get_absolute_url(self) -> str:
        return reverse("proof", args=[self.uid])

    @property
    def studies(self) -> list[Study]:
        return [study for study in (self.pairwise, self.ratings) if study]
