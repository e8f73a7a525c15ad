"""Labelled sets, the reward models trained on them, and benchmarks."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from annotation.models import Dataset, Study
from annotation.models.library import SLUG
from scoring.models import Judge, PromptVersion
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL


class SetState(models.TextChoices):
    MAKING = "making", _("Being made")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")


class LabelledSet(Row):
    """Groups with what people said of them, frozen: what reward models learn from and are measured on.

    ``manifest`` names a file in the storage in the form of training.rewards.groups; a picture's path there is the
    SHA-256 of a StoredImage, a candidate's key its UID, a group's key its case's UID. ``origin``: how it was made.
    ``dataset``: whose cases and candidates these are, where they are all of one.
    """

    slug = models.CharField(max_length=80, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    state = models.CharField(max_length=8, choices=SetState.choices, default=SetState.MAKING)
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.SET_NULL, related_name="labelled_sets")
    studies = models.ManyToManyField(Study, blank=True, related_name="labelled_sets")
    origin = models.JSONField()
    dimensions = models.JSONField(default=list)  # of rewards.groups.Dimension
    manifest = models.CharField(max_length=200, blank=True)
    content_hash = models.CharField(max_length=64, blank=True, db_index=True)
    groups = models.PositiveIntegerField(default=0)
    candidates = models.PositiveIntegerField(default=0)
    facts = models.JSONField(default=dict, blank=True)  # the figures of the card
    notice = models.CharField(max_length=200, blank=True)
    is_simulated = models.BooleanField(default=False)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=SetState.values), name="set_state_known"),
            models.CheckConstraint(
                condition=~Q(state=SetState.READY) | (~Q(manifest="") & ~Q(content_hash="")), name="set_ready_is_frozen"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("labelled_set", args=[self.slug])


class RewardModel(Row):
    """A version of a reward model: what a training job made. ``folder``: its checkpoint, beneath settings.MODELS_ROOT.

    ``config``: training.rewards.config.Config; ``metrics``: held-out figures, as the job reported them.
    """

    name = models.CharField(max_length=120)
    slug = models.CharField(max_length=80, validators=[SLUG])
    number = models.PositiveIntegerField()
    labelled_set = models.ForeignKey(LabelledSet, on_delete=models.PROTECT, related_name="reward_models")
    job = models.OneToOneField("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    config = models.JSONField()
    metrics = models.JSONField(default=dict)
    dimensions = models.JSONField(default=list)
    folder = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(default=0)  # of its files, in bytes
    note = models.CharField(max_length=500, blank=True)
    notice = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["slug", "number"], name="reward_model_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("reward_model", args=[self.slug, self.number])


class Benchmark(Row):
    """A labelled set by which scorers are measured, and how. ``protocol``: training.rewards.protocols.Protocol.

    ``layout``: of the files it was imported from, else empty. ``facts``: what is known without any scorer, such as the
    human ceiling; empty until they were computed.
    """

    labelled_set = models.OneToOneField(LabelledSet, on_delete=models.PROTECT, related_name="benchmark")
    layout = models.CharField(max_length=40, blank=True)
    protocol = models.JSONField(default=dict, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)

    def __str__(self) -> str:
        return self.labelled_set.name

    def get_absolute_url(self) -> str:
        return reverse("benchmark", args=[self.labelled_set.slug])


class BenchmarkResult(Row):
    """What one scorer reached: figures made from its scores of the benchmark's candidates."""

    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE, related_name="results")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    judge = models.ForeignKey(Judge, on_delete=models.PROTECT, related_name="benchmark_results")
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    figures = models.JSONField(default=dict)
    scored = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["benchmark", "version", "judge"], name="benchmark_result_once"),
        ]
