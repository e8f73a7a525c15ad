"""What people are asked: a study puts items before annotators by a protocol."""

from functools import cached_property

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from annotation.models.library import Candidate, Case, Dataset
from annotation.protocols import PRESET_LABELS, Protocol
from webapp.core.models import Row

SIMULATION = _(
    "Simulation. Simulated annotators: these judgements were made by a program from the true score of the drawn world."
)
WITH_PEOPLE = _("People have judged, too: their judgements are among these.")


class StudyState(models.TextChoices):
    OPEN = "open", _("Open")
    PAUSED = "paused", _("Paused")
    CLOSED = "closed", _("Closed")


class Study(Row):
    """``protocol`` is frozen at the start: a changed rubric would make the scores before and after incomparable.

    ``is_simulated``: a simulated annotator has joined. It stays so, because what they judged stays.
    """

    name = models.CharField(max_length=120)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="studies")
    preset = models.CharField(max_length=40)
    protocol_json = models.JSONField()
    guidelines = models.TextField(blank=True)  # Markdown
    state = models.CharField(max_length=6, choices=StudyState.choices, default=StudyState.OPEN)
    seed = models.PositiveBigIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    is_simulated = models.BooleanField(default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(state__in=StudyState.values), name="study_state_known")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("study", args=[self.uid])

    @cached_property
    def protocol(self) -> Protocol:
        return Protocol.from_json(self.protocol_json)

    @property
    def preset_label(self) -> str:
        return PRESET_LABELS.get(self.preset, self.preset)

    @property
    def channel(self) -> str:
        return f"study:{self.uid}"

    @property
    def notice(self) -> str:
        """What every page and export that shows this study's judgements must say of them; empty if there is nothing.

        One query where annotators were simulated, none elsewhere.
        """
        return self.notice_with(self.is_simulated and self.has_people)

    def notice_with(self, has_people: bool) -> str:
        """The notice where it is known already whether a person has judged in a simulation, too: for lists."""
        parts = [self.dataset.notice]
        if self.is_simulated:
            parts.append(str(SIMULATION))
        if self.is_simulated and has_people:
            parts.append(str(WITH_PEOPLE))
        return " ".join(part for part in parts if part)

    @property
    def has_people(self) -> bool:
        """Whether a person has judged, too."""
        return bool(self.judgements.filter(annotator__is_simulated=False).exists())


class Member(Row):
    """An annotator who was invited to a study, with the session that caps their hours."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    position = models.PositiveIntegerField()  # first, second … member: decides which dimension comes first
    session_started_at = models.DateTimeField(null=True, blank=True)
    last_active_at = models.DateTimeField(null=True, blank=True)
    break_until = models.DateTimeField(null=True, blank=True)
    reached = models.FloatField(default=0.0)  # units before this place, see Unit.shuffle, were theirs or are full
    # Counted as judgements are given: the page shows them at every key press, and counting rows gets slower.
    done = models.PositiveIntegerField(default=0)
    day = models.DateField(null=True, blank=True)
    done_that_day = models.PositiveIntegerField(default=0)
    # The way in: what stands between this annotator and live work, see annotation.entry.
    consented_at = models.DateTimeField(null=True, blank=True)
    guidelines_read = models.PositiveIntegerField(default=0)  # number of the version; 0: none
    viewing = models.JSONField(default=dict, blank=True)  # what the viewing check measured
    viewed_at = models.DateTimeField(null=True, blank=True)
    trained_at = models.DateTimeField(null=True, blank=True)
    qualified_at = models.DateTimeField(null=True, blank=True)
    # Paused by a person: no live work until they lift it. ``paused_words`` is shown to the annotator.
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_words = models.TextField(blank=True)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "user"], name="member_once")]


class Item(Row):
    """What is judged at once: one candidate (rating), two (pairwise) or a group (ranking) of one case."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="items")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    candidates = models.ManyToManyField(Candidate, through="ItemCandidate", related_name="items")
    is_contested = models.BooleanField(default=False)


class ItemCandidate(models.Model):
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="entries")
    candidate = models.ForeignKey(Candidate, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "candidate"], name="item_candidate_once")]


class Purpose(models.TextChoices):
    """What a unit is for. Judgements of any but live units never count for results."""

    LIVE = "live", _("Live work")
    TRAINING = "training", _("Training")
    QUALIFICATION = "qualification", _("Qualification")
    GOLD = "gold", _("Hidden gold item")
    ATTENTION = "attention", _("Attention check")
    REPEAT = "repeat", _("Repeat of an item")
    BESIDE = "beside", _("Beside a hidden item")  # its group's other dimensions, so that it looks like any group


PRACTICE = (Purpose.TRAINING, Purpose.QUALIFICATION)  # before live work, on a page of its own


class Unit(Row):
    """One (item, dimension, round) that waits for ``target`` annotators. ``dimension`` is empty where all go together.

    ``taken`` counts leases and finished work, ``done`` finished work that is not extra. That a unit is never leased to
    more people than it needs is the database's business: a conditional UPDATE and a check.

    Training, qualification and checks are for everybody, as long as ``target`` is EVERYBODY; less, and they are
    withdrawn.
    """

    EVERYBODY = 32_767

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="units")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="units")
    dimension = models.CharField(max_length=40, blank=True)
    round = models.PositiveSmallIntegerField(default=1)
    purpose = models.CharField(max_length=13, choices=Purpose.choices, default=Purpose.LIVE)
    target = models.PositiveSmallIntegerField()
    taken = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveSmallIntegerField(default=0)
    shuffle = models.FloatField()  # a seeded random place in [0, 1): the order in which units are given out

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "dimension", "round"], name="unit_once"),
            models.CheckConstraint(condition=Q(taken__lte=F("target")), name="unit_not_overtaken"),
            models.CheckConstraint(condition=Q(done__lte=F("taken")), name="unit_done_was_taken"),
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="unit_purpose_known"),
        ]
        indexes = [
            models.Index(
                fields=["study", "shuffle"], condition=Q(taken__lt=F("target"), purpose="live"), name="unit_open_live"
            ),
            models.Index(fields=["study", "purpose"], name="unit_by_purpose"),  # whether there is training, or gold
        ]
