"""Judgements that were made elsewhere, as they were imported: what they are, where the rows lie, and their figures."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from webapp.core.models import Row


class JudgementKind(models.TextChoices):
    RATINGS = "ratings", _("Ratings")
    RANKINGS = "rankings", _("Rankings")
    VOTES = "votes", _("Votes on pairs")


class Nature(models.TextChoices):
    """Who judged. It is said on the import, and then on every page and export."""

    PEOPLE = "people", _("People")
    SIMULATED = "simulated", _("A program (simulation)")
    DEMO = "demo", _("Made up, to show what a page looks like")


NOTICES = {
    Nature.PEOPLE: "",
    Nature.SIMULATED: _("Simulation. A program made these judgements."),
    Nature.DEMO: _("Demo. These judgements are made up."),
}


class JudgementSet(Row):
    """``rows`` and ``scores``: names of Parquet files in the storage (scoring/elsewhere/table.py).

    ``counts``: annotators, items or candidates, groups, editors and so on. ``told``: what the reader passed over, in
    sentences. ``figures``: null until they are computed; ``job`` computes them where there are many rows.
    """

    name = models.CharField(max_length=120)
    layout = models.CharField(max_length=40)  # of the file that it was read from
    kind = models.CharField(max_length=8, choices=JudgementKind.choices)
    nature = models.CharField(max_length=9, choices=Nature.choices, default=Nature.PEOPLE)
    source = models.CharField(max_length=300)
    licence = models.CharField(max_length=120, blank=True)
    sha256 = models.CharField(max_length=64, unique=True)
    judgements = models.PositiveIntegerField()
    counts = models.JSONField()
    told = models.JSONField(default=list, blank=True)
    rows = models.CharField(max_length=200)
    scores = models.CharField(max_length=200, blank=True)
    figures = models.JSONField(null=True, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=JudgementKind.values), name="judgement_set_kind_known"),
            models.CheckConstraint(condition=Q(nature__in=Nature.values), name="judgement_set_nature_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("judgement_set", args=[self.uid])

    @property
    def notice(self) -> str:
        """What every page and export that shows these judgements must say of them; empty for those of people."""
        return str(NOTICES[Nature(self.nature)])
