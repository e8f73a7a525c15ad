"""Benchmarks of editors: the same cases edited by several editors, scored by the same judge and prompts."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from annotation.models import Dataset, Editor
from annotation.models.library import SLUG
from scoring.models import Judge
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL


class Style(models.TextChoices):
    HP = "hp", "RealPref-Bench"
    GEDIT = "gedit", "GEdit-Bench"
    DREAM = "dream", "DreamBench++"


class EditorBenchmark(Row):
    """``asked``: which prompt's version gives which score, by the style. ``base``: whom all others are compared with.
    ``seeds``: images a case and editor that count."""

    slug = models.CharField(max_length=80, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    style = models.CharField(max_length=8, choices=Style.choices)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="editor_benchmarks")
    split = models.CharField(max_length=5, blank=True)
    base = models.ForeignKey(Editor, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    editors = models.ManyToManyField(Editor, related_name="editor_benchmarks")
    judge = models.ForeignKey(Judge, null=True, blank=True, on_delete=models.PROTECT, related_name="editor_benchmarks")
    asked = models.JSONField(default=dict)
    seeds = models.PositiveSmallIntegerField(default=1)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(style__in=Style.values), name="editor_benchmark_style_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("editor_benchmark", args=[self.slug])
