"""The report of a study: what the appendix of a paper needs, as sections of words, tables and charts.

Everything is computed from the judgements that count when the report is asked for; nothing is kept but what the
leaderboard keeps of large studies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.models import Study
from annotation.protocols import PAIRWISE, RATING, Protocol
from annotation.queries import study_progress
from scoring import connections, results
from scoring.boards import ladder
from scoring.boards.figure import Figure, Table, Value
from scoring.boards.forms import LeaderboardForm
from scoring.boards.kept import kept_for
from scoring.boards.standings import Standings, standings
from scoring.reporting import people, statistics

DRAWN = ("matrix", "tasks", "radar")  # charts whose numbers stand in them


@dataclass(frozen=True)
class Section:
    """``words``: paragraphs; ``tables``: with a caption each; ``figures``: charts with their tables."""

    name: str
    title: str
    words: Sequence[str] = ()
    tables: Sequence[tuple[str, Table]] = ()
    figures: Sequence[Figure] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    study: Study
    made_at: str
    notice: str
    sections: list[Section]


def report_of(study: Study) -> Report:
    """The whole report, in the order of a paper's appendix."""
    done = study_progress([study])[0]
    sections = [_protocol(study), _material(study, done), _annotators(study)]
    if study.protocol.kind == RATING:
        sections.append(_methods(study))
    sections += [_agreement(study), _design(study), _results(study, done["done"])]
    made_at = timezone.localtime().strftime("%Y-%m-%d %H:%M %Z")
    return Report(study, made_at, study.notice, sections)


# Protocol -----------------------------------------------------------------------------------------------------------


def _protocol(study: Study) -> Section:
    protocol = study.protocol
    versions = study.guideline_versions.count()
    words = [_kind(protocol), " ".join(_rules(protocol))]
    if versions:
        words.append(_("Guidelines: version %(n)d of them is in force.") % {"n": versions})
    scales: list[list[Value]] = [
        [one.label, one.rubric, "" if protocol.kind != RATING else f"{one.low:g}–{one.high:g}", one.step]
        for one in protocol.dimensions
    ]
    columns = [_("Dimension"), _("Question"), _("Scale"), _("Step")]
    tables = [(_("What was asked"), Table(columns, scales, 2))]
    anchors: list[list[Value]] = [
        [one.label, key, words] for one in protocol.dimensions for key, words in one.anchors.items()
    ]
    if anchors:
        tables.append((_("What scores mean"), Table([_("Dimension"), _("Score"), _("Words")], anchors)))
    return Section("protocol", _("Protocol"), words, tables)


def _kind(protocol: Protocol) -> str:
    if protocol.kind == RATING:
        return _("Each edit was rated by itself, beside its source image and the instruction.")
    if protocol.kind == PAIRWISE:
        return _("Two edits of one case were compared: one is better, a tie, or both bad. Sides were drawn at random.")
    return _(
        "All edits of a case were ordered, ties allowed, one pass for each dimension, in an order drawn at random."
    )


def _rules(protocol: Protocol) -> Iterator[str]:
    yield _("Annotators for an item: %(n)d.") % {"n": protocol.raters}
    for split, raters in protocol.split_raters.items():
        yield _("On the split “%(split)s”: %(n)d.") % {"split": split, "n": raters}
    if protocol.extra_raters:
        words = _("Where agreement is below %(least).2f, %(n)d more were asked, once.")
        yield words % {"least": protocol.agreement, "n": protocol.extra_raters}
    words = _("Sessions last at most %(minutes)d minutes, with a break of %(rest)d.")
    yield words % {"minutes": protocol.session_minutes, "rest": protocol.break_minutes}
    yield _("Who made an image was never shown.")
    yield from _checks(protocol)


def _checks(protocol: Protocol) -> Iterator[str]:
    checks, entry = protocol.checks, protocol.entry
    if entry.consent:
        yield _("Annotators agreed to a text of consent.")
    if entry.viewing:
        yield _("They passed a check of window, zoom and screen.")
    told = [
        (_("gold item after about %(n)d items"), checks.gold_every),
        (_("attention check after about %(n)d items"), checks.attention_every),
        (_("repeated item after about %(n)d items"), checks.repeat_every),
    ]
    hidden = [words % {"n": every} for words, every in told if every]
    if hidden:
        yield _("Hidden among the work: %(checks)s.") % {"checks": "; ".join(hidden)}
    for words, share in (
        (_("The untouched source stood among the edits of %(share).0f %% of the items."), checks.source_share),
        (_("One edit stood twice in %(share).0f %% of the items."), checks.duplicate_share),
    ):
        if share:
            yield words % {"share": 100 * share}


# Material and people --------------------------------------------------------------------------------------------------


def _material(study: Study, done: dict[str, int]) -> Section:
    rows, cases, editors = people.material(study)
    words = _("%(cases)d cases of the data set “%(name)s” with edits by %(editors)d editors.")
    told = [words % {"cases": cases, "name": study.dataset.name, "editors": editors}]
    told.append(
        _("Judgements: %(done)d of %(target)d wanted, and %(extra)d more that came after a place was taken.") % done
    )
    columns = [_("Task"), _("Split"), _("Cases"), _("Items")]
    return Section("material", _("Material"), told, [(_("Cases by task and split"), Table(columns, rows))])


def _annotators(study: Study) -> Section:
    told = people.annotators(study)
    tables = [(_("Annotators and checks"), told.table)]
    if told.decisions.rows:
        tables.append((_("Decisions about annotators"), told.decisions))
    return Section("annotators", _("Annotators"), told.words, tables)


# Statistics -----------------------------------------------------------------------------------------------------------


def _methods(study: Study) -> Section:
    told = statistics.methods(study)
    tables = [(_("The two methods beside each other"), told.compared)]
    tables.append((_("Annotators that a method leaves out"), told.left_out))
    return Section("methods", _("Scores by two methods"), told.words, tables)


def _agreement(study: Study) -> Section:
    words, table = statistics.agreement(study)
    tables = [(_("Agreement by dimension"), table)]
    return Section("agreement", _("Agreement"), words, tables)


def _design(study: Study) -> Section:
    found = connections.of_study(study)
    if not found.is_known:
        words = [_("Fewer than two annotators have judged: nothing can be said of the design.")]
    elif found.is_connected:
        words = [_("Annotators and items hang together: all scores can be compared.")]
    else:
        told = _("Annotators and items fall into %(n)d parts that share neither: scores across parts do not compare.")
        words = [told % {"n": len(found.parts)}]
    return Section("design", _("Design"), words)


def _results(study: Study, judgements: int) -> Section:
    options = LeaderboardForm(None, study.protocol).options()
    kept = kept_for(study, f"standings-{options.method}", judgements, lambda: standings(study).to_json())
    found = Standings.from_json(kept.value)
    if not found.parts:
        return Section("results", _("Results"), [_("There are no judgements yet.")])
    board = ladder.ladder(study, found, options)
    weights = ", ".join(f"{key} {weight:g}" for key, weight in options.weights.items())
    words = [_("The overall score is a weighted mean: %(weights)s.") % {"weights": weights}]
    if study.protocol.kind != PAIRWISE:
        words += results.of_study(study).warnings
    figures = [replace(one, table=Table((), ())) if one.name in DRAWN else one for one in ladder.figures(board)]
    return Section("results", _("Results"), words, [], figures)
