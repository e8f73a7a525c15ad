"""What judges answered: every answer once, under the key of all that it depends on, and the scores made of them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.library import Candidate
from scoring.judging.contract import SCORED, Status
from scoring.models.asking import Judge, PromptVersion
from webapp.core.models import Row


class AnswerStatus(models.TextChoices):
    PARSED = Status.PARSED.value, _("Scored")
    REPAIRED = Status.REPAIRED.value, _("Scored, the answer's form mended")
    REFUSED = Status.REFUSED.value, _("Refused")
    FILTERED = Status.FILTERED.value, _("Filtered")
    FAILED = Status.FAILED.value, _("Failed")


HAS_SCORE = Q(status__in=[status.value for status in SCORED])


class Answer(Row):
    """One answer of a judge; the cache. ``key`` is contract.cache_key. Failed ones are asked again, others never."""

    key = models.CharField(max_length=64, unique=True)
    judge = models.ForeignKey(Judge, on_delete=models.PROTECT, related_name="answers")
    status = models.CharField(max_length=8, choices=AnswerStatus.choices)
    score = models.FloatField(null=True, blank=True)
    answers = models.JSONField(default=list)  # of each question: {"question", "answer", "reason"}
    reasoning = models.TextField(blank=True)
    distribution = models.JSONField(null=True, blank=True)  # probability of each digit of the scale
    kind = models.CharField(max_length=40, blank=True)  # of a failure, in a word
    note = models.TextField(blank=True)
    raw = models.TextField(blank=True)
    model = models.CharField(max_length=200, blank=True)  # the provider's own id
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    cost = models.FloatField(null=True, blank=True)
    seconds = models.FloatField(default=0)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="answers")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=AnswerStatus.values), name="answer_status_known"),
            models.CheckConstraint(
                condition=(HAS_SCORE & Q(score__isnull=False)) | (~HAS_SCORE & Q(score__isnull=True)),
                name="answer_score_is_no_guess",
            ),
        ]


class Score(Row):
    """What a judge says of a candidate by a version: the mean of the passes that could be read, or why there is none.

    ``keys`` are the answers' keys, one for each pass; ``read`` counts those with a score.
    """

    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="scores")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="scores")
    judge = models.ForeignKey(Judge, on_delete=models.PROTECT, related_name="scores")
    status = models.CharField(max_length=8, choices=AnswerStatus.choices)
    value = models.FloatField(null=True, blank=True)
    read = models.PositiveSmallIntegerField(default=0)
    keys = models.JSONField(default=list)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "judge", "candidate"], name="score_once"),
            models.CheckConstraint(condition=Q(status__in=AnswerStatus.values), name="score_status_known"),
            models.CheckConstraint(
                condition=(HAS_SCORE & Q(value__isnull=False)) | (~HAS_SCORE & Q(value__isnull=True)),
                name="score_is_no_guess",
            ),
        ]
