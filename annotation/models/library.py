"""Data sets of cases, the editors, and the candidates that editors made."""

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.validators import RegexValidator
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from webapp.core.models import Row

USER = settings.AUTH_USER_MODEL  # a name of its own: Candidate has a field "settings"
SLUG = RegexValidator(r"^[a-z0-9][a-z0-9._-]*$", _("Use small letters, digits, dot, hyphen and underscore."))


class TaskGroup(models.TextChoices):
    GLOBAL = "global", _("Global")
    OBJECT = "object", _("Object")
    HUMAN = "human", _("Human-centric")
    LOWLEVEL = "lowlevel", _("Low-level")


class Task(models.Model):
    """A kind of edit. Rows come from annotation/tasks.json; ``is_hp_edit`` marks HP-Edit's eight."""

    slug = models.CharField(max_length=40, primary_key=True, validators=[SLUG])
    name = models.CharField(max_length=80)
    group = models.CharField(max_length=10, choices=TaskGroup.choices)
    description = models.CharField(max_length=300)
    is_hp_edit = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.CheckConstraint(condition=models.Q(group__in=TaskGroup.values), name="task_group_known")]

    def __str__(self) -> str:
        return self.name


class StoredImage(Row):
    """One image, kept once however often it is used: the original as it came, and a copy for viewing.

    The copy has no metadata and the same format for every editor, so that nothing in it tells who made it.
    """

    sha256 = models.CharField(max_length=64, unique=True)
    original = models.CharField(max_length=200)  # names in the default storage
    view = models.CharField(max_length=200)
    format = models.CharField(max_length=10)
    size = models.PositiveBigIntegerField()  # of the original, in bytes
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    view_width = models.PositiveIntegerField()
    view_height = models.PositiveIntegerField()

    def read_view(self) -> bytes:
        return _read(self.view)

    def read_original(self) -> bytes:
        return _read(self.original)


def _read(name: str) -> bytes:
    with default_storage.open(name) as file:
        data: bytes = file.read()
    return data


class Dataset(Row):
    slug = models.CharField(max_length=80, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    notice = models.CharField(max_length=200, blank=True)  # shown on every page and in every export, e.g. "Demo data."
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    derived_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="derived")
    recipe = models.JSONField(default=dict, blank=True)  # how it was drawn from that one

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("dataset", args=[self.uid])


class Split(models.TextChoices):
    TRAIN = "train", _("Training")
    DEV = "dev", _("Development")
    TEST = "test", _("Test")
    BENCH = "bench", _("Benchmark")


class Case(Row):
    """A source image with an instruction and an edit task."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="cases")
    key = models.CharField(max_length=200)
    source = models.ForeignKey(StoredImage, on_delete=models.PROTECT, related_name="+")
    mask = models.ForeignKey(StoredImage, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="cases")
    instruction = models.TextField()
    instruction_zh = models.TextField(blank=True)
    description = models.TextField(blank=True)  # of the wanted result, for editors that take no instruction
    requirement = models.TextField(blank=True)
    split = models.CharField(max_length=5, choices=Split.choices, default=Split.TRAIN)
    params = models.JSONField(default=dict, blank=True)
    attribution = models.TextField(blank=True)
    licence = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "key"], name="case_key_once"),
            models.CheckConstraint(condition=models.Q(split__in=Split.values), name="case_split_known"),
        ]
        indexes = [models.Index(fields=["dataset", "task", "id"], name="case_by_task")]

    def __str__(self) -> str:
        return self.key

    def get_absolute_url(self) -> str:
        return reverse("case", args=[self.uid])


CONTROL_EDITORS = ("control-source", "control-duplicate")  # slugs of those that "made" controls, see Control


class EditorQuerySet(models.QuerySet["Editor"]):
    def makers(self) -> "EditorQuerySet":
        """Without those that only stand for controls: for lists and forms."""
        return self.exclude(slug__in=CONTROL_EDITORS)


class Editor(Row):
    """Whoever makes candidates. ``module`` names a file of training/gpu/editors; empty for images made elsewhere."""

    slug = models.CharField(max_length=80, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    module = models.CharField(max_length=40, blank=True)
    settings = models.JSONField(default=dict, blank=True)
    notice = models.CharField(max_length=200, blank=True)

    objects = EditorQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("editor", args=[self.slug])


class Fault(models.TextChoices):
    """What an output check found. The sentences are shown to people; the thresholds are in annotation/checks.py."""

    BLANK = "blank", _("blank")
    BLACK = "black", _("black")
    NOISE = "noise", _("noise")
    UNCHANGED = "unchanged", _("unchanged from the source")
    SIZE = "size", _("wrong size")
    ASPECT = "aspect", _("wrong aspect ratio")


class CandidateQuerySet(models.QuerySet["Candidate"]):
    def usable(self) -> "CandidateQuerySet":
        """Without those that an output check set aside, unless a person has kept them."""
        return self.filter(models.Q(fault="") | models.Q(fault_kept=True))

    def set_aside(self) -> "CandidateQuerySet":
        return self.exclude(fault="").exclude(fault_kept=True)


class Control(models.TextChoices):
    """A candidate that tests the annotator, not an editor."""

    SOURCE = "source", _("the untouched source")
    DUPLICATE = "duplicate", _("another candidate once more")


class CandidateManager(models.Manager["Candidate"]):
    """Candidates that an editor made: controls are nobody's business but the annotation pages' and their checks'."""

    def get_queryset(self) -> CandidateQuerySet:
        return CandidateQuerySet(self.model, using=self._db).filter(control="")


class Candidate(Row):
    """An edited image that an editor made for a case. All candidates of a case are its group.

    ``control``: put among a study's candidates to check attention. ``objects`` and the relations from cases, items and
    editors leave controls out; ``everything`` and the keys that marks and orders hold have them.
    """

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="candidates")
    editor = models.ForeignKey(Editor, on_delete=models.PROTECT, related_name="candidates")
    image = models.ForeignKey(StoredImage, on_delete=models.PROTECT, related_name="+")
    seed = models.BigIntegerField(default=0)
    noise_seed = models.BigIntegerField(null=True, blank=True)  # of the initial noise, where the editor has one
    settings = models.JSONField(default=dict, blank=True)
    settings_hash = models.CharField(max_length=16)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="candidates")
    seconds = models.FloatField(null=True, blank=True)  # that making it took
    fault = models.CharField(max_length=10, choices=Fault.choices, blank=True)
    fault_note = models.CharField(max_length=200, blank=True)
    fault_kept = models.BooleanField(null=True)  # a person's decision on the fault; None: nobody has looked
    fault_decided_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    control = models.CharField(max_length=9, choices=Control.choices, blank=True, default="")
    duplicate_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="+")

    objects = CandidateManager.from_queryset(CandidateQuerySet)()
    everything = CandidateQuerySet.as_manager()

    class Meta:
        base_manager_name = "everything"
        default_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(fields=["case", "editor", "seed", "settings_hash"], name="candidate_once"),
            models.CheckConstraint(
                condition=models.Q(control__in=["", "source"], duplicate_of=None)
                | models.Q(control="duplicate", duplicate_of__isnull=False),
                name="candidate_control_known",
            ),
            models.CheckConstraint(condition=models.Q(fault__in=["", *Fault.values]), name="candidate_fault_known"),
        ]
        indexes = [
            models.Index(fields=["editor", "fault", "id"], condition=~models.Q(fault=""), name="candidate_with_fault"),
        ]
