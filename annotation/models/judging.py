"""What people answered: every action as an event, and the judgement that their last answer makes."""

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from annotation.answers import EXCUSES
from annotation.models.library import Candidate
from annotation.models.studies import Purpose, Study, Unit
from webapp.core.models import Row


class Flag(models.TextChoices):
    NO_EDIT = "no_edit", _("No edit at all")
    BROKEN = "broken", _("Broken image")
    UNSAFE = "unsafe", _("Unsafe")
    CANNOT_JUDGE = "cannot_judge", _("Cannot judge")


class Assignment(Row):
    """A unit lent to an annotator until ``leased_until``; activity renews it.

    ``order`` holds the candidates' keys as they are shown (letter A first). It is drawn once and kept, so that a
    restart or a reload shows the same order, and it is the only map from letters to candidates.
    """

    class State(models.TextChoices):
        LEASED = "leased", _("In work")
        EXPIRED = "expired", _("Lease ran out")
        DONE = "done", _("Done")

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="assignments")
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assignments")
    state = models.CharField(max_length=7, choices=State.choices, default=State.LEASED)
    order = models.JSONField()
    leased_until = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)  # last time that the annotator's page showed it

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["unit", "annotator"], name="assignment_once"),
            models.CheckConstraint(condition=Q(state__in=["leased", "expired", "done"]), name="assignment_state_known"),
        ]
        indexes = [
            models.Index(fields=["study", "annotator", "state"], name="assignment_of_annotator"),
            models.Index(fields=["study", "leased_until"], condition=Q(state="leased"), name="assignment_leases"),
        ]


class Event(models.Model):
    """One action of an annotator. Rows are only ever added; the browser makes ``key``, so a repeat is no second."""

    id = models.BigAutoField(primary_key=True)
    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="events")
    key = models.UUIDField()
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=10)
    data = models.JSONField(default=dict)
    client_ms = models.BigIntegerField(default=0)  # the annotator's clock, for information only
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["assignment", "key"], name="event_once")]


def _standing(prefix: str, include_extra: bool) -> Q:
    from annotation.models.quality import Exclusion  # that module needs this one

    excluded = Exclusion.objects.filter(
        study=OuterRef(f"{prefix}study"), annotator=OuterRef(f"{prefix}annotator"), lifted_at=None
    )
    live = Q(**{f"{prefix}unit__purpose": Purpose.LIVE}) & ~Q(Exists(excluded))
    return live if include_extra else live & Q(**{f"{prefix}is_extra": False})


class JudgementQuerySet(models.QuerySet["Judgement"]):
    def standing(self, include_extra: bool = False) -> "JudgementQuerySet":
        """Those of live work, not extra, by nobody whose judgements a person excluded from the study."""
        return self.filter(_standing("", include_extra))

    def counted(self, include_extra: bool = False) -> "JudgementQuerySet":
        """Standing ones that no flag excuses (broken, unsafe, cannot judge): those that count for results."""
        return self.standing(include_extra).exclude(flag__in=EXCUSES)


class Judgement(Row):
    """An annotator's answer to a unit, as their last submitted event says it. The history is in the events.

    ``is_extra``: given after the lease was lost and the unit filled by others. Kept, shown, and left out of counts.
    ``seconds``: from the last opening to the answer, by the server's clock.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="judgements")
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="judgements")
    assignment = models.OneToOneField(Assignment, on_delete=models.CASCADE, related_name="judgement")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgements")
    answer = models.JSONField()
    flag = models.CharField(max_length=12, choices=Flag.choices, blank=True)
    remark = models.TextField(blank=True)
    is_extra = models.BooleanField(default=False)
    seconds = models.FloatField(null=True, blank=True)
    revisions = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    objects = JudgementQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["unit", "annotator"], name="judgement_once")]
        indexes = [models.Index(fields=["study", "annotator", "created_at"], name="judgement_of_annotator")]


class MarkQuerySet(models.QuerySet["Mark"]):
    def standing(self, include_extra: bool = False) -> "MarkQuerySet":
        """The marks of standing judgements, see ``JudgementQuerySet.standing``, of candidates that an editor made."""
        return self.filter(_standing("judgement__", include_extra), candidate__control="")

    def counted(self, include_extra: bool = False) -> "MarkQuerySet":
        """The marks that count for results: standing ones that no flag excuses."""
        return self.standing(include_extra).exclude(judgement__flag__in=EXCUSES)


class Mark(models.Model):
    """What a judgement says of a candidate in a dimension: a score, a rank (1 is best, ties share a mean), or both.

    Ranks are those among the candidates that editors made, as if the controls between them were not there.
    """

    id = models.BigAutoField(primary_key=True)
    judgement = models.ForeignKey(Judgement, on_delete=models.CASCADE, related_name="marks")
    candidate = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="marks")
    dimension = models.CharField(max_length=40)
    score = models.FloatField(null=True, blank=True)
    rank = models.FloatField(null=True, blank=True)

    objects = MarkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["judgement", "candidate", "dimension"], name="mark_once"),
            models.CheckConstraint(
                condition=Q(score__isnull=False) | Q(rank__isnull=False), name="mark_says_something"
            ),
            models.CheckConstraint(condition=Q(rank__isnull=True) | Q(rank__gte=1), name="mark_rank_from_one"),
        ]
