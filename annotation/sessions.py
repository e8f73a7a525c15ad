"""The annotator's working session: its cap, its break, and the day's count.

ITU-R BT.500 asks for sessions of at most half an hour; tired eyes rate differently. The cap is kept by the server.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation import leases
from annotation.hidden import placing
from annotation.models import Member

UNTOUCHED = timedelta(seconds=5)  # activity closer together is noted once
COUNTED = 500  # open units are counted no further: an exact number beyond helps nobody


def touch(member: Member, now: datetime, judged: int) -> None:
    """Note activity and ``judged`` new judgements. A pause as long as a break ends a session; a full one begins one."""
    protocol = member.study.protocol
    pause = timedelta(minutes=protocol.break_minutes)
    rested = member.last_active_at is None or now - member.last_active_at >= pause
    if member.session_started_at is None or rested or (member.break_until and now >= member.break_until):
        member.session_started_at, member.break_until = now, None
    elif member.break_until is None and now - member.session_started_at >= timedelta(minutes=protocol.session_minutes):
        member.break_until = now + pause
    elif not judged and now - (member.last_active_at or now) < UNTOUCHED:
        return
    same_day = member.day == now.date()
    Member.objects.filter(pk=member.pk).update(
        session_started_at=member.session_started_at,
        last_active_at=now,
        break_until=member.break_until,
        done=F("done") + judged,
        day=now.date(),
        done_that_day=F("done_that_day") + judged if same_day else judged,
    )
    member.last_active_at, member.day = now, now.date()
    member.done, member.done_that_day = member.done + judged, (member.done_that_day if same_day else 0) + judged


def break_of(member: Member) -> dict[str, Any] | None:
    """The break that this annotator should take now, or None."""
    now = timezone.now()
    if member.break_until is None or now >= member.break_until:
        return None
    minutes = member.study.protocol.session_minutes
    sentence = _("You have worked for %(minutes)d minutes. Rest your eyes; your work is saved.") % {"minutes": minutes}
    left = (member.break_until - now).total_seconds() / 60
    return {"until": member.break_until.isoformat(), "minutes": round(left, 1), "sentence": sentence}


def progress_of(member: Member) -> dict[str, Any]:
    """What this annotator has done in this study."""
    now = timezone.now()
    started = member.session_started_at or now
    return {
        "done": member.done,
        "today": member.done_that_day if member.day == now.date() else 0,
        "worked_minutes": round((now - started).total_seconds() / 60, 1),
    }


def total_of(member: Member, mine: int) -> int | None:
    """How much there is for this annotator in all: ``mine``, done or leased, what is open, and the hidden items among
    it. None: far off."""
    open_units = leases.remaining(member, COUNTED)
    return placing.total(member, mine, open_units) if open_units < COUNTED else None
