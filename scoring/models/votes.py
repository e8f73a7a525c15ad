"""People's votes on pairs of edits beside those of judges, as a benchmark published them."""

from django.conf import settings
from django.db import models

from webapp.core.models import Row


class VoteSet(Row):
    """``rows``: a pair each, {"key", "human", "judges": {name: vote or None}}; votes: "A", "B", "tie", "both_bad"."""

    name = models.CharField(max_length=120)
    layout = models.CharField(max_length=40)  # of the file that it was read from
    source = models.CharField(max_length=300, blank=True)  # who published it, under which licence
    sha256 = models.CharField(max_length=64, unique=True)
    rows = models.JSONField()
    pairs = models.PositiveIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name
