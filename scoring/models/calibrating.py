"""A prompt's agreement with people: where it is watched, what was accepted, what came of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from annotation.models import Candidate, Study, Task
from scoring.models.asking import Judge, Prompt, PromptVersion
from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL


class Method(models.TextChoices):
    """How several annotators' scores of a candidate become one, in the scale of the study."""

    MEAN = "mean", _("Mean of the scores")
    CORRECTED = "corrected", _("Mean corrected for each annotator's bias")
    ZSCORE = "zscore", _("MOS by z-scores, 0 to 100, drawn onto the scale")


class Calibration(Row):
    """A prompt and a judge against the human scores of a study in one dimension.

    Whether a source image is in the dev part or held out follows from ``seed`` and the image alone, so images that are
    rated later fall into a part as well, and no image is ever in both.
    """

    name = models.CharField(max_length=120)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="calibrations")
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="calibrations")
    dimension = models.CharField(max_length=40)
    method = models.CharField(max_length=10, choices=Method.choices, default=Method.MEAN)
    judge = models.ForeignKey(Judge, on_delete=models.PROTECT, related_name="calibrations")
    held_out = models.FloatField(default=0.5)  # share of the source images
    seed = models.PositiveBigIntegerField()
    current = models.ForeignKey(PromptVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(held_out__gte=0.1, held_out__lte=0.9), name="calibration_two_parts"),
            models.CheckConstraint(condition=Q(method__in=Method.values), name="calibration_method_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("calibration", args=[self.uid])

    @property
    def channel(self) -> str:
        return f"calibration:{self.uid}"


class Look(Row):
    """Somebody looked at a version's held-out figures. Each look makes the next figure a little less honest."""

    calibration = models.ForeignKey(Calibration, on_delete=models.CASCADE, related_name="looks")
    version = models.ForeignKey(PromptVersion, on_delete=models.CASCADE, related_name="looks")
    by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)


class LevelMap(Row):
    """A monotone map from the judge's scores to people's level, fitted on the dev part."""

    calibration = models.ForeignKey(Calibration, on_delete=models.CASCADE, related_name="level_maps")
    version = models.ForeignKey(PromptVersion, on_delete=models.CASCADE, related_name="level_maps")
    knots = models.JSONField()
    triples = models.PositiveIntegerField()  # that it was fitted on

    class Meta:
        constraints = [models.UniqueConstraint(fields=["calibration", "version"], name="level_map_once")]


class Activation(Row):
    """A version that a person made its task's active scorer, with the held-out figures they saw. Never changed but for
    its end; the one without an end is the active one."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="activations")
    dimension = models.CharField(max_length=40)
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="activations")
    judge = models.ForeignKey(Judge, on_delete=models.PROTECT, related_name="activations")
    calibration = models.ForeignKey(Calibration, null=True, on_delete=models.SET_NULL, related_name="activations")
    figures = models.JSONField()  # of the held-out part, as they were
    knots = models.JSONField(null=True, blank=True)  # of the level map, where one is applied
    note = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "dimension"], condition=Q(ended_at__isnull=True), name="one_active_scorer"
            ),
        ]


class UnclearPoint(Row):
    """A disagreement whose cause is the guideline: what a person wrote of it, for the study's guidelines."""

    calibration = models.ForeignKey(Calibration, on_delete=models.CASCADE, related_name="unclear_points")
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="unclear_points")
    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="+")
    version = models.ForeignKey(PromptVersion, null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.TextField()
    by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL)
    settled_at = models.DateTimeField(null=True, blank=True)  # added to the guidelines, or put aside

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["calibration", "candidate"], name="unclear_point_once"),
        ]


class SuggestionState(models.TextChoices):
    OPEN = "open", _("Waiting for a person")
    ACCEPTED = "accepted", _("Accepted")
    REJECTED = "rejected", _("Rejected")


class Suggestion(Row):
    """A question that a program proposes from the disagreements of ``parent``. A person accepts or rejects it.

    ``trial`` is the version with the question, where it was scored; ``figures`` what came of it on the dev part.
    """

    calibration = models.ForeignKey(Calibration, on_delete=models.CASCADE, related_name="suggestions")
    parent = models.ForeignKey(PromptVersion, on_delete=models.CASCADE, related_name="suggestions")
    text = models.TextField()
    reason = models.TextField(blank=True)
    source = models.CharField(max_length=200)  # the model that wrote it, or "known questions of the drawn world"
    trial = models.ForeignKey(PromptVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    figures = models.JSONField(default=dict, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="suggestions")
    state = models.CharField(max_length=8, choices=SuggestionState.choices, default=SuggestionState.OPEN)
    decided_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=SuggestionState.values), name="suggestion_state_known"),
        ]


class Anchor(Row):
    """A candidate of a task's fixed set that is scored again for each version and each month, to see drift."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="anchors")
    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "candidate"], name="anchor_once")]


class DriftCheck(Row):
    """The anchors of a task scored anew, past the cache. ``scores``: candidate key to score, None where there is none.

    ``month`` is the first day of the month it belongs to.
    """

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="drift_checks")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="drift_checks")
    judge = models.ForeignKey(Judge, on_delete=models.PROTECT, related_name="drift_checks")
    month = models.DateField()
    scores = models.JSONField(default=dict)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="drift_checks")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "version", "judge", "month"], name="drift_check_once")]
