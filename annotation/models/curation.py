"""What is known of a data set beyond its rows: categories of its sources, versions, instructions to review."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.library import Case, Dataset, Editor, StoredImage, Task
from webapp.core.models import Row


class Category(models.Model):
    """What a source image shows. Rows come from annotation/categories.json: the 80 names of COCO's classes."""

    slug = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=80)
    group = models.CharField(max_length=40)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class Source(Row):
    """What is known of an image that cases use as their source. Without a category it is uncategorised, not "other"."""

    image = models.OneToOneField(StoredImage, on_delete=models.CASCADE, related_name="source_facts")
    phash = models.CharField(max_length=16, blank=True, db_index=True)  # perceptual hash, 64 bits in hexadecimal
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.PROTECT, related_name="sources")
    method = models.CharField(max_length=200, blank=True)  # "person", or the model that said so
    score = models.FloatField(null=True, blank=True)  # the model's certainty, 0 to 1
    categorised_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)


class UnmadeReason(models.TextChoices):
    FAILED = "failed", _("the editor failed")
    UNREADABLE = "unreadable", _("unreadable image")


class Unmade(Row):
    """A candidate that an editor did not deliver: kept so that it is counted and can be tried again."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="unmade")
    editor = models.ForeignKey(Editor, on_delete=models.PROTECT, related_name="unmade")
    seed = models.BigIntegerField()
    settings_hash = models.CharField(max_length=16)
    reason = models.CharField(max_length=10, choices=UnmadeReason.choices)
    note = models.TextField(blank=True)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="unmade")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "editor", "seed", "settings_hash"], name="unmade_once"),
            models.CheckConstraint(condition=Q(reason__in=UnmadeReason.values), name="unmade_reason_known"),
        ]


class DatasetVersion(Row):
    """A data set as it was: never changed. ``manifest`` names a file in the storage with every row of the version."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64)
    note = models.CharField(max_length=500, blank=True)
    manifest = models.CharField(max_length=200)
    cases = models.PositiveIntegerField()
    candidates = models.PositiveBigIntegerField()
    facts = models.JSONField(default=dict)  # the figures of the data card
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="version_number_once"),
            models.UniqueConstraint(fields=["dataset", "content_hash"], name="version_content_once"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset.slug} v{self.number}"


class ProposalState(models.TextChoices):
    OPEN = "open", _("Waiting")
    ACCEPTED = "accepted", _("Accepted")
    REJECTED = "rejected", _("Rejected")


class Proposal(Row):
    """An instruction that a model wrote for a source image. A person accepts it, changed or not, and it becomes a case.

    ``instruction`` stays as the model wrote it; what the person made of it is the case's.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="proposals")
    source = models.ForeignKey(StoredImage, on_delete=models.PROTECT, related_name="+")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveSmallIntegerField(default=0)  # several proposals of one request
    instruction = models.TextField()
    instruction_zh = models.TextField(blank=True)
    description = models.TextField(blank=True)
    requirement = models.TextField(blank=True)
    model = models.CharField(max_length=200)  # the id that the endpoint answered with
    prompt_version = models.CharField(max_length=40)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="proposals")
    state = models.CharField(max_length=8, choices=ProposalState.choices, default=ProposalState.OPEN)
    case = models.OneToOneField(Case, null=True, blank=True, on_delete=models.SET_NULL, related_name="proposal")
    reviewed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    reviewed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "source", "task", "model", "prompt_version", "number"], name="proposal_once"
            ),
            models.CheckConstraint(condition=Q(state__in=ProposalState.values), name="proposal_state_known"),
        ]
        indexes = [models.Index(fields=["dataset", "state", "id"], name="proposal_by_state")]
