"""Benchmarks of editors: the same cases edited by several editors, scored by the same judge and prompts."""

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from annotation.models import Candidate, Dataset, Editor
from annotation.models.library import SLUG
from scoring.models import Judge
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL


class Style(models.TextChoices):
    HP = "hp", "RealPref-Bench"
    GEDIT = "gedit", "GEdit-Bench"
    DREAM = "dream", "DreamBench++"


class Language(models.TextChoices):
    EN = "en", _("English")
    ZH = "zh", _("Chinese")


class Stage(models.TextChoices):
    """What is being made of what is missing; empty: nothing."""

    IMAGES = "images", _("Making images")
    SCORES = "scores", _("Scoring")


class EditorBenchmark(Row):
    """``asked``: which prompt's version gives which score, by the style. ``base``: whom all others are compared with.
    ``seeds``: images a case and editor that count. ``language``: of the instructions.

    ``stage`` and ``jobs``: what fills it now; ``message``: why that stopped.
    """

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
    language = models.CharField(max_length=2, choices=Language.choices, default=Language.EN)
    stage = models.CharField(max_length=6, choices=Stage.choices, blank=True)
    message = models.TextField(blank=True)
    most_cost = models.FloatField(null=True, blank=True)  # that the judge may spend in the filling under way
    jobs = models.ManyToManyField("jobs.Job", blank=True, related_name="+")
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(style__in=Style.values), name="editor_benchmark_style_known"),
            models.CheckConstraint(
                condition=models.Q(stage__in=["", *Stage.values]), name="editor_benchmark_stage_known"
            ),
            models.CheckConstraint(condition=models.Q(seeds__gte=1), name="editor_benchmark_has_seeds"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("editor_benchmark", args=[self.slug])


class Measure(models.TextChoices):
    """Of DreamBench++: how alike the edited image is to the source image (I) and to the wanted result's text (T)."""

    DINO_I = "dino_i", "DINO-I"
    CLIP_I = "clip_i", "CLIP-I"
    CLIP_T = "clip_t", "CLIP-T"


class Likeness(Row):
    """A cosine of two embeddings, by a model that is named by its fingerprint: other weights are another figure."""

    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="likenesses")
    measure = models.CharField(max_length=6, choices=Measure.choices)
    model = models.CharField(max_length=300)
    value = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "measure", "candidate"], name="likeness_once"),
            models.CheckConstraint(condition=models.Q(measure__in=Measure.values), name="likeness_measure_known"),
        ]
