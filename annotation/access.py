"""Which rows a request may see: the first call of every view here."""

from typing import TypeVar
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from annotation.entry.gate import with_facts
from annotation.models import Assignment, Dataset, Member, Study
from webapp.accounts.access import may_change, user_of

Owned = TypeVar("Owned", Dataset, Study)


def member_of(request: HttpRequest, study_uid: UUID) -> Member:
    """This person's membership of a study; 404 for everybody else, whatever their role: only members judge."""
    members = with_facts(Member.objects.select_related("study"))
    member = get_object_or_404(members, study__uid=study_uid, user=user_of(request))
    member.user = user_of(request)
    return member


def assignment_of(request: HttpRequest, uid: UUID) -> Assignment:
    """One of this person's own assignments."""
    rows = Assignment.objects.select_related("unit__item__case__source")
    return get_object_or_404(rows, uid=uid, annotator=user_of(request))


def dataset_of(request: HttpRequest, uid: UUID, change: bool = False) -> Dataset:
    return _found(request, get_object_or_404(Dataset, uid=uid), change)


def study_of(request: HttpRequest, uid: UUID, change: bool = False) -> Study:
    return _found(request, get_object_or_404(Study.objects.select_related("dataset"), uid=uid), change)


def _found(request: HttpRequest, row: Owned, change: bool) -> Owned:
    if change and not may_change(user_of(request), row.created_by_id):
        raise PermissionDenied(_("This belongs to somebody else. Ask them or an admin."))
    return row
