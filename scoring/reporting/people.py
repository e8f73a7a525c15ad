"""Material and annotators of a study's report. Annotators go by their pseudonyms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Max
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.models import ItemCandidate, Purpose, QualificationTry, Study, Unit
from annotation.screening.queries import Row, decisions_of, members_of, rows_of
from scoring.boards.figure import Table, Value
from scoring.tables import annotator_name


def material(study: Study) -> tuple[list[list[Value]], int, int]:
    """(task, split, cases, items) of the live work; the number of cases, and of editors. Three queries."""
    live = Unit.objects.filter(study=study, purpose=Purpose.LIVE).order_by()
    fields = ("item__case__task__name", "item__case__split")
    grouped = live.values_list(*fields).annotate(
        cases=Count("item__case", distinct=True), items=Count("item", distinct=True)
    )
    rows = sorted([list(row) for row in grouped], key=str)
    cases = live.aggregate(n=Count("item__case", distinct=True))["n"]
    shown = ItemCandidate.objects.filter(item__study=study, candidate__control="")
    return rows, cases, shown.aggregate(n=Count("candidate__editor", distinct=True))["n"]


@dataclass(frozen=True)
class Told:
    words: list[str]
    table: Table
    decisions: Table


def annotators(study: Study) -> Told:
    """Everybody who took part, with the checks that they met and what people decided about them."""
    members = list(members_of(study).order_by("position"))
    shares = _qualified(study)
    rows = [list(_row(row, shares)) for row in rows_of(study, members)]
    columns = [
        _("Annotator"), _("Judgements"), _("Median seconds"), _("Checks passed"), _("Checks failed"),
        _("Repeats alike"), _("Correlation with others"), _("Qualification"), _("Open concerns"), _("Counts"),
    ]  # fmt: skip
    decided = [
        [
            annotator_name(one.annotator_id, one.annotator.is_simulated),
            one.get_kind_display(),
            one.created_at.strftime("%Y-%m-%d"),
            one.note,
        ]
        for one in decisions_of(study).order_by("id")
    ]
    simulated = sum(member.user.is_simulated for member in members)
    real = len(members) - simulated
    words = [ngettext("%(n)d annotator took part.", "%(n)d annotators took part.", real) % {"n": real}]
    if simulated:
        words.append(_("Simulation: %(n)d more were programs.") % {"n": simulated})
    words.append(
        _(
            "No rule alone took anybody out of the study: a person decided whose judgements do not count. "
            "Whom a method of opinion scores leaves out is said with that method."
        )
    )
    decisions = Table([_("Annotator"), _("Decision"), _("Day"), _("Reason")], decided)
    return Told(words, Table(columns, rows, 2), decisions)


def _row(row: Row, shares: dict[int, float]) -> Iterator[Value]:
    member = row.member
    yield annotator_name(member.user_id, member.user.is_simulated)
    yield row.judgements
    yield row.seconds
    yield sum(passed for passed, _failed in row.kinds)
    yield sum(failed for _passed, failed in row.kinds)
    yield row.consistency
    yield row.correlation
    yield shares.get(member.pk)
    yield len(row.concerns)
    yield _("no: excluded") if row.exclusion else _("yes")


def _qualified(study: Study) -> dict[int, float]:
    """The best share of right answers of each member's tries."""
    tries = QualificationTry.objects.filter(member__study=study, share__isnull=False).order_by()
    return dict(tries.values_list("member").annotate(best=Max("share")))
