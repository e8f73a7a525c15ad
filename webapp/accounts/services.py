"""Writes to accounts."""

from datetime import timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.accounts.models import Invitation, Role, User

INVITATION_DAYS = 14


@transaction.atomic
def invite(*, by: User, role: str, note: str = "", study_uid: UUID | None = None) -> tuple[Invitation, str]:
    """A new invitation and its token, which is shown once. Only admins invite engineers and admins."""
    if role != Role.ANNOTATOR and not by.is_admin:
        raise ValidationError(_("Only an admin can invite people to this role."))
    token = Invitation.new_token()
    invitation = Invitation(
        token_hash=Invitation.hash(token),
        role=role,
        note=note,
        study_uid=study_uid,
        created_by=by,
        expires_at=timezone.now() + timedelta(days=INVITATION_DAYS),
    )
    invitation.full_clean()
    invitation.save()
    return invitation, token


@transaction.atomic
def accept(*, token: str, username: str, password: str, email: str = "") -> tuple[User, Invitation]:
    """Make the account that the invitation is for. The conditional update lets only one of two racing people in."""
    used = Invitation.objects.filter(
        token_hash=Invitation.hash(token), used_at=None, expires_at__gt=timezone.now()
    ).update(used_at=timezone.now())
    if not used:
        raise ValidationError(_("This invitation was used already or has expired. Ask for a new one."))
    if User.objects.filter(username__iexact=username).exists():  # "Alice" beside "alice" would be taken for her
        raise ValidationError(_("This name is taken already. Choose another."))
    invitation = Invitation.objects.get(token_hash=Invitation.hash(token))
    user = User(username=username, email=email, role=invitation.role)
    user.set_password(password)
    user.full_clean()
    user.save()
    invitation.used_by = user
    invitation.save(update_fields=["used_by"])
    return user, invitation


@transaction.atomic
def change_person(*, person: User, by: User, role: str, is_active: bool) -> User:
    """Change a role, or close or open an account. Nobody locks themselves out."""
    if person == by:
        raise ValidationError(_("You cannot change your own role or close your own account."))
    person.role, person.is_active = role, is_active
    person.full_clean()
    person.save(update_fields=["role", "is_active"])
    _end_invitations(person)
    return person


def _end_invitations(person: User) -> None:
    """Delete the open links that this person could not send now: one kept in a drawer would give an old role back."""
    links = Invitation.objects.filter(created_by=person, used_at=None)
    if person.is_active and person.is_engineer:
        links = links.exclude(role__in=Role.values if person.is_admin else [Role.ANNOTATOR])
    links.delete()
