"""One row for every long piece of work."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from webapp.core.models import Row


class State(models.TextChoices):
    QUEUED = "queued", _("Waiting")
    RUNNING = "running", _("Running")
    CANCELLING = "cancelling", _("Stopping")
    CANCELLED = "cancelled", _("Cancelled")
    FAILED = "failed", _("Failed")
    SUCCEEDED = "succeeded", _("Done")


ACTIVE = (State.QUEUED, State.RUNNING, State.CANCELLING)
CLAIMED = (State.RUNNING, State.CANCELLING)
RESUMABLE = (State.CANCELLED, State.FAILED)

TRANSITIONS: dict[str, tuple[str, ...]] = {
    State.QUEUED: (State.RUNNING, State.CANCELLED, State.FAILED),
    State.RUNNING: (State.CANCELLING, State.QUEUED, State.CANCELLED, State.FAILED, State.SUCCEEDED),
    State.CANCELLING: (State.CANCELLED, State.FAILED, State.SUCCEEDED),
    State.CANCELLED: (State.QUEUED,),
    State.FAILED: (State.QUEUED,),
    State.SUCCEEDED: (),
}


def before(to: str) -> list[str]:
    """The states from which a job may go to ``to``."""
    return [state for state, following in TRANSITIONS.items() if to in following]


class Job(Row):
    """``attempt`` rises with every claim; a process of an older attempt no longer owns the row."""

    kind = models.CharField(max_length=40)
    queue = models.CharField(max_length=20)
    title = models.CharField(max_length=200)
    config = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    cloned_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="parts")
    is_shared = models.BooleanField(default=False)  # many workers share it: its parts are jobs, it has no process

    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    crashes = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    enqueued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    done_at_start = models.PositiveBigIntegerField(default=0)  # of this attempt, for the time left
    message = models.TextField(blank=True)
    summary = models.JSONField(default=dict, blank=True)
    events_read = models.PositiveBigIntegerField(default=0)  # bytes of events.jsonl that have been applied

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="job_state_known"),
        ]
        indexes = [models.Index(fields=["state", "kind"], name="job_state_kind")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("job", args=[self.uid])

    @property
    def folder(self) -> Path:
        return Path(settings.JOBS_ROOT) / str(self.uid)

    @property
    def whole(self) -> "Job":
        """What people see of a part: the job that it belongs to."""
        return self.parent or self

    @property
    def channel(self) -> str:
        return f"job:{self.uid}"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_resumable(self) -> bool:
        return self.state in RESUMABLE
