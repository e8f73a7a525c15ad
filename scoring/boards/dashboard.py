"""The figures of a study's dashboard: progress, time, agreement, people."""

from __future__ import annotations

import math
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.models import Study
from annotation.protocols import PAIRWISE, RATING
from scoring.boards import charts
from scoring.boards.charts import Point, Series
from scoring.boards.course import BIN, CHOICES, Course, Spread
from scoring.boards.figure import Figure, Table, Value, say
from scoring.boards.progress import Progress, Times

PEOPLE = 24  # annotators in one chart


def days(found: Progress) -> Figure:
    """Judgements a day."""
    label = _("Judgements a day")
    return Figure(
        name="days",
        title=label,
        table=Table([_("Day"), _("Judgements")], found.days, 0),
        chart=charts.bars([(day[5:], float(count)) for day, count in found.days], label=label, up=_("judgements")),
        note=_("By the day on which a judgement was first given, without extra ones."),
        empty=_("Nobody has judged yet."),
    )


def seconds(found: Progress, start: int = 0) -> Figure:
    """Time a judgement takes, by annotator, those with most judgements first."""
    people = sorted(found.annotators, key=lambda one: -one.n)
    shown = [one for one in (found.times, *people[start : start + PEOPLE]) if one.n]
    columns = [_("Annotator"), _("Judgements"), _("Median, s"), _("First quartile"), _("Third quartile")]
    return Figure(
        name="seconds",
        title=_("Time for a judgement"),
        table=Table(columns, [_times(one) for one in (found.times, *people)], 1),
        chart=charts.dots(
            [(one.name or _("Everybody"), [_quartiles(one)]) for one in shown],
            label=_("Seconds for a judgement: median and quartiles"),
            across=_("seconds"),
            least=[0, 1],
        ),
        note=_("Median and quartiles, by the server's clock: from the last opening of the item to the answer."),
        gaps=_("–: no time is known."),
        empty=_("No time is known yet."),
    )


def _times(one: Times) -> list[Value]:
    return [one.name or _("Everybody"), one.n, one.median, one.low, one.high]


def _quartiles(one: Times) -> Point:
    title = _("%(median)s s, n = %(n)d") % {"median": say(one.median, 1), "n": one.n}
    return Point(_number(one.median), 0, _number(one.low), _number(one.high), title)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def agreement(study: Study, found: Course) -> Figure:
    """Agreement by blocks of work."""
    is_rating = study.protocol.kind == RATING
    measure = _("Krippendorff α") if is_rating else _("Kendall W, mean")
    labels = [dimension.label for dimension in study.protocol.dimensions]
    series: dict[int, list[Point]] = {}
    for one in found.agreement:
        title = _("%(value)s, n = %(n)d") % {"value": say(one.value), "n": one.items}
        series.setdefault(one.dimension, []).append(Point(one.until, _number(one.value), title=title))
    note = _("Items that two or more people judged, in blocks of equal size, in the order of their last judgement.")
    if not is_rating:
        note += " " + _("The dotted line is the study's threshold for contested groups.")
    columns = [_("Dimension"), _("Items until then"), _("Items it rests on"), _("Last judgement"), measure]
    return Figure(
        name="agreement",
        title=_("Agreement over time"),
        table=Table(
            columns,
            [[labels[one.dimension], one.until, one.items, _moment(one.at), one.value] for one in found.agreement],
        ),
        chart=charts.lines(
            [Series(labels[number], points) for number, points in series.items()],
            label=_("Agreement by items judged"),
            across=_("items judged by two or more"),
            up=measure,
            least=[0, 1],
            least_across=[0],
            rule=None if is_rating else study.protocol.agreement,
        ),
        note=note,
        gaps=_("–: all answers of the block are equal, so there is nothing to agree on."),
        empty=_("No item has been judged by two people yet."),
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.get_current_timezone()).strftime("%Y-%m-%d %H:%M")


def drift(study: Study, found: Course) -> Figure:
    """Do scores rise or fall while a session lasts?"""
    labels = [dimension.label for dimension in study.protocol.dimensions]
    series: dict[int, list[Point]] = {}
    for one in found.drift:
        title = _("%(value)s, n = %(n)d") % {"value": say(one.mean), "n": one.n}
        point = Point(one.start + BIN / 2, _number(one.mean), _number(one.low), _number(one.high), title)
        series.setdefault(one.dimension, []).append(point)
    columns = [
        _("Dimension"),
        _("Minutes"),
        _("Answers"),
        _("Mean deviation"),
        _("95 % from"),
        _("to"),
        _("Mean distance"),
    ]
    empty = _("No candidate has scores from two people yet.")
    if study.protocol.kind == PAIRWISE:
        empty = _("Comparisons have no scores, so there is no deviation from an item's mean.")
    return Figure(
        name="drift",
        title=_("Drift within a session"),
        table=Table(
            columns,
            [
                [
                    labels[one.dimension],
                    f"{one.start}–{one.start + BIN}",
                    one.n,
                    one.mean,
                    one.low,
                    one.high,
                    one.distance,
                ]
                for one in found.drift
            ],
        ),
        chart=charts.lines(
            [Series(labels[number], points) for number, points in series.items()],
            label=_("Mean deviation of scores from the item's mean, by minutes into the session"),
            across=_("minutes into the session"),
            up=_("score minus the item's mean"),
            least=[-0.25, 0.25],
            least_across=[0, BIN],
            rule=0,
        ),
        note=_(
            "A session begins after a pause as long as a break; there were %(n)d. Bars are 95 %% intervals, which take "
            "answers for independent. Flat at 0: people judge alike from first to last."
        )
        % {"n": found.sessions},
        gaps=_("–: one answer has no interval."),
        empty=empty,
    )


def distributions(study: Study, found: Course, dimension: int, start: int = 0) -> Figure:
    """How each annotator uses the scale in one dimension, those with most answers first."""
    spreads = sorted((one for one in found.spreads if one.dimension == dimension), key=lambda one: -one.n)
    is_choice = study.protocol.kind == PAIRWISE
    names = {"A": _("left"), "B": _("right"), "tie": _("tie"), "both_bad": _("both bad")}
    steps = [names[choice] for choice in CHOICES] if is_choice else found.steps[dimension]
    shown = spreads[start : start + PEOPLE]
    label = study.protocol.dimensions[dimension].label
    title = _("Choices of each annotator") if is_choice else _("Scores of each annotator: %(name)s") % {"name": label}
    note = _("Share of each annotator's own answers, all on one scale. Those with most answers come first.")
    if is_choice:
        note += " " + _("Sides are drawn at random: a leaning to one side is the annotator's.")
    return Figure(
        name="distributions",
        title=title,
        table=Table([_("Annotator"), _("Answers"), _("Mean"), _("Std"), *steps], [_spread(one) for one in spreads], 2),
        chart=charts.multiples(
            [(f"{one.annotator} (n = {one.n})", [count / one.n for count in one.counts]) for one in shown],
            steps,
            label=title,
        ),
        note=note,
        gaps=_("–: comparisons have no mean; one answer has no standard deviation."),
        empty=_("Nobody has given a score yet.") if not is_choice else _("Nobody has compared anything yet."),
    )


def _spread(one: Spread) -> list[Value]:
    return [one.annotator, one.n, one.mean, one.std, *one.counts]
