"""Keeping and deleting sets of votes."""

from __future__ import annotations

import hashlib

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scoring.models import VoteSet
from scoring.votes.reading import LAYOUT, MOST_BYTES, UnreadableVotes, read_votes
from webapp.accounts.models import User


class SameFile(Exception):
    """The file is there already, as ``found``."""

    def __init__(self, found: VoteSet) -> None:
        super().__init__(str(found.uid))
        self.found = found


def create_vote_set(*, name: str, source: str, file: File[bytes], by: User) -> VoteSet:
    """Raises ValidationError with every problem of the file, and SameFile for one that is there already."""
    if (file.size or 0) > MOST_BYTES:
        size = {"most": MOST_BYTES // 1024**2}
        raise ValidationError({"file": _("The file is larger than %(most)d MB. Upload it in parts.") % size})
    data = file.read()
    digest = hashlib.sha256(data).hexdigest()
    _refuse_again(digest)
    try:
        votes = read_votes(data)
    except UnreadableVotes as error:
        raise ValidationError({"file": _sentences(error)}) from None
    found = VoteSet(name=name, layout=LAYOUT, source=source, sha256=digest, rows=votes.rows, pairs=len(votes.rows))
    found.created_by = by
    try:
        with transaction.atomic():
            found.full_clean(validate_unique=False)
            found.save()
    except IntegrityError:
        _refuse_again(digest)  # somebody uploaded the same file in this moment
        raise
    return found


@transaction.atomic
def delete_vote_set(*, vote_set: VoteSet) -> None:
    vote_set.delete()


def _refuse_again(digest: str) -> None:
    if found := VoteSet.objects.defer("rows").filter(sha256=digest).first():
        raise SameFile(found)


def _sentences(error: UnreadableVotes) -> list[str]:
    more = error.count - len(error.problems)
    rest = [ngettext("And %(n)d more problem.", "And %(n)d more problems.", more) % {"n": more}] if more else []
    return [*error.problems, *rest, _("Nothing was kept.")]
