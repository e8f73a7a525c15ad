"""What makes judgements trustworthy: the way in, hidden checks, concerns, exclusions, adjudication."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.judging import Judgement
from annotation.models.library import Candidate
from annotation.models.studies import Item, Member, Study, Unit
from webapp.core.models import Row

PERSON = settings.AUTH_USER_MODEL


class Guidelines(Row):
    """One version of a study's guidelines, never changed. ``Study.guidelines`` is the newest version's text."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="guideline_versions")
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True)  # Markdown
    note = models.CharField(max_length=200, blank=True)  # what changed
    created_by = models.ForeignKey(PERSON, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["study", "number"]
        constraints = [models.UniqueConstraint(fields=["study", "number"], name="guidelines_once")]


class GuidelineExample(models.Model):
    """A picture that shows what a score means: a candidate, its score in a dimension, and why."""

    id = models.BigAutoField(primary_key=True)
    guidelines = models.ForeignKey(Guidelines, on_delete=models.CASCADE, related_name="examples")
    candidate = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="+")
    dimension = models.CharField(max_length=40)
    score = models.FloatField()
    words = models.TextField(blank=True)

    class Meta:
        ordering = ["guidelines", "dimension", "-score", "id"]


class Reference(models.Model):
    """The right answer to a unit for training, qualification, gold or attention.

    ``answer`` of a rating: {"scores": {dimension: score}, "tolerance": {dimension: steps either way}}; of a ranking:
    {"order": [[candidate key, …], …] best first, "least_tau": τ-b}; of a pair: {"choice": candidate key, "tie" or
    "both_bad"}.
    ``feedback`` is shown after training; ``instruction`` replaces the case's (attention checks).
    """

    unit = models.OneToOneField(Unit, on_delete=models.CASCADE, primary_key=True, related_name="reference")
    answer = models.JSONField()
    feedback = models.TextField(blank=True)
    instruction = models.TextField(blank=True)


class QualificationTry(Row):
    """One try of an annotator at the qualification. ``share``: of right answers; None until it is finished."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="tries")
    number = models.PositiveSmallIntegerField()
    share = models.FloatField(null=True, blank=True)
    passed = models.BooleanField(null=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["member", "number"]
        constraints = [models.UniqueConstraint(fields=["member", "number"], name="try_once")]


class CheckKind(models.TextChoices):
    GOLD = "gold", _("Gold item")
    ATTENTION = "attention", _("Attention check")
    REPEAT = "repeat", _("Repeated item")
    SOURCE = "source", _("Untouched source among the edits")
    DUPLICATE = "duplicate", _("The same picture twice")


class Check(Row):
    """How one judgement stood a hidden check. Made anew when the judgement is revised."""

    judgement = models.ForeignKey(Judgement, on_delete=models.CASCADE, related_name="checks")
    kind = models.CharField(max_length=9, choices=CheckKind.choices)
    passed = models.BooleanField()
    found = models.JSONField(default=dict)  # what was expected and what was answered

    class Meta:
        constraints = [models.UniqueConstraint(fields=["judgement", "kind"], name="check_once")]


class ConcernKind(models.TextChoices):
    GOLD = "gold", _("Wrong on gold items")
    ATTENTION = "attention", _("Fails attention checks")
    REPEAT = "repeat", _("Answers the same item differently")
    SOURCE = "source", _("Does not see the untouched source")
    DUPLICATE = "duplicate", _("Tells the same picture apart from itself")
    SPEED = "speed", _("Answers in very little time")
    STRAIGHT_LINE = "straight", _("Gives the same answer again and again")
    REVERSED = "reversed", _("Goes against everybody else")
    RANDOM = "random", _("No trace of the others' opinion")
    OUTLIERS = "outliers", _("Far from the others")


class ConcernState(models.TextChoices):
    OPEN = "open", _("Waits for a decision")
    DISMISSED = "dismissed", _("No reason to act")
    WARNED = "warned", _("The annotator was told")
    PAUSED = "paused", _("Paused")
    EXCLUDED = "excluded", _("Judgements do not count")


class Concern(Row):
    """Something about an annotator that a person should look at. It changes nothing by itself.

    ``words`` says it in one sentence, ``figures`` holds what it rests on. One open concern of a kind at a time.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="concerns")
    annotator = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="concerns")
    kind = models.CharField(max_length=9, choices=ConcernKind.choices)
    words = models.TextField()
    figures = models.JSONField(default=dict)
    state = models.CharField(max_length=9, choices=ConcernState.choices, default=ConcernState.OPEN)
    decided_by = models.ForeignKey(PERSON, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "annotator", "kind"], condition=Q(state="open"), name="concern_open_once"
            ),
            models.CheckConstraint(condition=Q(state__in=ConcernState.values), name="concern_state_known"),
        ]


class Exclusion(Row):
    """A person's decision that an annotator's judgements in a study do not count. They stay; it can be lifted."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="exclusions")
    annotator = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    by = models.ForeignKey(PERSON, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(PERSON, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "annotator"], condition=Q(lifted_at=None), name="exclusion_in_force_once"
            )
        ]


class Adjudication(Row):
    """What a senior decided on a contested item: an opinion beside the annotators', which it does not replace.

    ``answer``: {"order": [[candidate UID, …], …]} best first, or {"scores": {candidate UID: score}}.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="adjudications")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="adjudications")
    dimension = models.CharField(max_length=40)
    answer = models.JSONField()
    note = models.TextField(blank=True)
    by = models.ForeignKey(PERSON, on_delete=models.PROTECT, related_name="+")
