"""Who uses Editloop, and how they came in."""

import hashlib
import secrets

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from webapp.core.models import Row


class Role(models.TextChoices):
    ADMIN = "admin", _("Admin")
    ENGINEER = "engineer", _("Prompt engineer")
    ANNOTATOR = "annotator", _("Annotator")


SIMULATED = "simulated-"  # how the names of simulated annotators begin, and no person's name does


class User(AbstractUser):
    """A person. Roles contain each other: an admin may do what an engineer may; everybody may annotate when invited.

    ``is_simulated``: no person but a program that judges. It cannot sign in, and its name says what it is.
    """

    role = models.CharField(max_length=10, choices=Role.choices, default=Role.ANNOTATOR)
    is_demo = models.BooleanField(default=False)
    is_simulated = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
            models.CheckConstraint(
                condition=models.Q(is_simulated=False) | models.Q(is_active=False, role=Role.ANNOTATOR),
                name="user_simulated_stays_out",
                violation_error_message=_("A simulated annotator cannot sign in and has no other role."),
            ),
            models.CheckConstraint(
                condition=models.Q(is_simulated=True, username__startswith=SIMULATED)
                | (models.Q(is_simulated=False) & ~models.Q(username__istartswith=SIMULATED)),
                name="user_simulated_by_name",
                violation_error_message=_("Names that begin with “simulated-” belong to simulated annotators."),
            ),
        ]

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def is_engineer(self) -> bool:
        return self.role in (Role.ADMIN, Role.ENGINEER)

    @property
    def is_annotator(self) -> bool:
        return self.role == Role.ANNOTATOR


class Invitation(Row):
    """A link that lets one person in. Only the token's hash is kept: who reads the table cannot use the links."""

    token_hash = models.CharField(max_length=64, unique=True)
    role = models.CharField(max_length=10, choices=Role.choices)
    note = models.CharField(max_length=200, blank=True)
    study_uid = models.UUIDField(null=True, blank=True)  # joined on acceptance; studies live in a higher layer
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations_sent")
    expires_at = models.DateTimeField()
    used_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="invitations_used")
    used_at = models.DateTimeField(null=True, blank=True)

    @staticmethod
    def new_token() -> str:
        return secrets.token_urlsafe(24)

    @staticmethod
    def hash(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    @staticmethod
    def path(token: str) -> str:
        return reverse("accept_invitation", args=[token])

    @property
    def is_open(self) -> bool:
        return self.used_at is None and self.expires_at > timezone.now()


class Scope(models.TextChoices):
    """What a program with a token may do; the role of the person behind it limits each of them further."""

    READ = "read", _("Read data sets, studies, judgements, results and jobs")
    STUDIES = "studies:write", _("Make studies, change their state and their members")
    EXPORTS = "exports", _("Start exports and take their files")
    JOBS = "jobs:write", _("Cancel jobs")


class ApiToken(Row):
    """A person's key for programs. Only its hash is kept; ``hint`` is its beginning, by which its owner knows it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    token_hash = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    @property
    def is_open(self) -> bool:
        return self.revoked_at is None and not self.is_over

    @property
    def is_over(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def scope_labels(self) -> list[str]:
        return [str(Scope(name).label) for name in self.scopes]
