"""Editors that a post-training made, and sweeps of such trainings."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from annotation.models import Editor
from annotation.models.library import SLUG
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL


class TrainedEditor(Row):
    """What is known of an editor whose LoRA a job trained here: its card.

    ``config``: the training's. ``reward``: who judged, with weights and versions. ``data``: the cases, with their hash.
    ``metrics``: the job's summary.
    """

    editor = models.OneToOneField(Editor, on_delete=models.CASCADE, related_name="trained")
    base = models.ForeignKey(Editor, on_delete=models.PROTECT, related_name="trained_from_it")
    job = models.OneToOneField("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    config = models.JSONField()
    reward = models.JSONField(default=list)
    data = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(editor=models.F("base")), name="trained_editor_has_another_base")
        ]

    def __str__(self) -> str:
        return self.editor.name

    def get_absolute_url(self) -> str:
        return reverse("trained_editor", args=[self.editor.slug])


class Sweep(Row):
    """A grid of trainings that differ in a few settings. ``axes``: [{"name", "values"}]; ``start``: what all share."""

    slug = models.CharField(max_length=80, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    axes = models.JSONField()
    start = models.JSONField()
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("sweep", args=[self.slug])


class SweepRun(Row):
    """One training of a sweep. ``place``: the values that it has, by axis."""

    sweep = models.ForeignKey(Sweep, on_delete=models.CASCADE, related_name="runs")
    job = models.OneToOneField("jobs.Job", on_delete=models.CASCADE, related_name="sweep_run")
    position = models.PositiveIntegerField()
    place = models.JSONField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["sweep", "position"], name="sweep_run_once")]
