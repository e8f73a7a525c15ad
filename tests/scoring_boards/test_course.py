"""How judgements go over time: progress, pace, sessions, drift, agreement by blocks, distributions."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest

from annotation.models import Exclusion, Judgement, Study
from annotation.protocols import PRESETS, Dimension
from scoring.boards import course as courses
from scoring.boards import dashboard
from scoring.boards.course import Course, course, session_minutes, steps_of
from scoring.boards.progress import Progress, Times, end_of, progress
from scoring.boards.reading import Judged
from scoring.stats.agreement import agreement
from scoring.tables import ratings
from tests.scoring_boards.rows import judge, study, worth
from webapp.accounts.models import User

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
KEYS = ("quality", "alignment", "preservation")


def scores(less: float = 0.0) -> Any:
    return lambda _u, c: {key: round(2 + 0.4 * worth(c) + 0.1 * (c.case_id % 4) - less, 1) for key in KEYS}


def people(rows: list[tuple[int, float, float]]) -> Judged:
    """(annotator, minute when it was given, seconds that it took)."""
    who, at, seconds = (np.array(column) for column in zip(*rows, strict=True))
    nothing: list[str] = []
    return Judged(np.arange(len(rows)), who, ["a1", "a2"], at * 60.0, seconds.astype(float), nothing)


# Progress -----------------------------------------------------------------------------------------------------------


def test_it_works(carol: User, bob: User) -> None:
    made = study("group-rank", (carol, bob), cases=2)
    made.dataset.cases.filter(pk=made.dataset.cases.first().pk).update(split="test")  # type: ignore[union-attr]
    judge(made, carol, lambda _u, c: {"rank": 3 - worth(c), "score": 1.0}, start=NOON, every=timedelta(hours=7))
    found = progress(made)
    assert [(row.name, row.done, row.target) for row in found.dimensions] == [
        (label, 2, 6) for label in ("Attribute preservation", "Editing alignment", "Visual quality")
    ]
    assert [(row.name, row.done, row.target) for row in found.splits] == [("test", 3, 9), ("train", 3, 9)]
    assert sum(count for _day, count in found.days) == 6 and found.days[0] == ("2026-03-04", 2)


def test_days_without_judgements_are_days_too(carol: User) -> None:
    made = study("hp-score", (carol,), cases=1, editors=3)
    judge(made, carol, lambda _u, c: {"overall": 3}, start=NOON, every=timedelta(days=2))
    assert progress(made).days == [
        ("2026-03-04", 1), ("2026-03-05", 0), ("2026-03-06", 1), ("2026-03-07", 0), ("2026-03-08", 1)
    ]  # fmt: skip


def test_times_are_quartiles_of_what_is_known(carol: User, bob: User) -> None:
    made = study("hp-score", (carol, bob))
    for place, row in enumerate(judge(made, carol, lambda _u, _c: {"overall": 3})):
        made.judgements.filter(pk=row.pk).update(seconds=None if place == 0 else 10 + place)
    judge(made, bob, lambda _u, _c: {"overall": 3}, seconds=None)
    found = progress(made)
    assert (found.times.n, found.times.median) == (8, median(range(11, 19)))
    mine, his = found.annotators
    assert (mine.name, mine.n, mine.low, mine.high) == (f"a{carol.pk}", 8, 12.75, 16.25)
    assert (his.n, his.median) == (0, None)
    figure = dashboard.seconds(found)
    assert figure.table.has_gaps and figure.chart is not None
    assert Progress.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_extra_and_hidden_work_is_not_progress(carol: User) -> None:
    made = study("hp-score", (carol,))
    rows = judge(made, carol, lambda _u, _c: {"overall": 3})
    made.judgements.filter(pk=rows[0].pk).update(is_extra=True)
    made.units.filter(pk=rows[1].unit_id).update(purpose="gold")
    found = progress(made)
    assert sum(count for _day, count in found.days) == found.times.n == 7
    assert [row.target for row in found.splits] == [40]


def an_hour(done: int, **changes: Any) -> Progress:
    """An hour of work ends now, with ``done`` judgements."""
    now = NOON.timestamp()
    values = {"first": now - 3600, "lately": done, "now": now, "times": Times("", 0, None, None, None), **changes}
    return Progress([], [], [], values.pop("times"), [], **values)


def test_the_end_is_told_from_the_pace() -> None:
    """30 in an hour: 60 more take two hours."""
    end = end_of(Study(), an_hour(30), 90, 30)
    assert end.at == NOON + timedelta(hours=2) and end.pace == pytest.approx(720) and not end.reason


def test_the_pace_is_that_of_the_last_seven_days() -> None:
    end = end_of(Study(), an_hour(70, first=NOON.timestamp() - 30 * 86400), 200, 180)
    assert end.pace == pytest.approx(10) and end.at == NOON + timedelta(days=2)


@pytest.mark.parametrize(
    ("state", "found", "done", "said"),
    [
        ("open", an_hour(30), 90, "Everything"),
        ("paused", an_hour(30), 30, "does not take judgements"),
        ("closed", an_hour(30), 30, "does not take judgements"),
        ("open", an_hour(0, first=None), 0, "Nobody has judged"),
        ("open", an_hour(9), 9, "Too little"),
        ("open", an_hour(30, first=NOON.timestamp() - 60), 30, "Too little"),
    ],
)
def test_where_no_end_can_be_told_it_says_why(state: str, found: Progress, done: int, said: str) -> None:
    end = end_of(Study(state=state), found, 90, done)
    assert end.at is None and said in end.reason


def test_an_end_beyond_reason_is_none() -> None:
    end = end_of(Study(), an_hour(70, first=NOON.timestamp() - 30 * 86400), 10**7, 70)
    assert end.at is None and "ten years" in end.reason


# Sessions and drift -------------------------------------------------------------------------------------------------


def test_a_session_begins_after_a_pause() -> None:
    """Minutes count from the opening of its first item; people's sessions are their own."""
    rows = people([(0, 1, 60), (1, 2, 30), (0, 4, 60), (0, 20, 120), (1, 3, 6), (0, 21, 60)])
    minutes, sessions = session_minutes(rows, pause=5 * 60)
    assert sessions == 3
    assert minutes == pytest.approx([1, 0.5, 4, 2, 1.5, 3])


def test_a_pause_is_from_an_answer_to_the_next_opening() -> None:
    """Six minutes spent on one item are no pause."""
    assert session_minutes(people([(0, 1, 60), (0, 7, 360)]), pause=5 * 60)[1] == 1
    assert session_minutes(people([(0, 1, 60), (0, 7, 10)]), pause=5 * 60)[1] == 2


def test_drift_is_the_mean_deviation_from_the_items_mean(carol: User, bob: User) -> None:
    """bob gives 0.2 less than carol: she is 0.1 above the mean, he is 0.1 below, and his last answer comes late."""
    made = study("mos", (carol, bob), cases=1)
    judge(made, carol, scores(), start=NOON, every=timedelta(seconds=60), seconds=30.0)
    judge(made, bob, scores(0.2), start=NOON, every=timedelta(minutes=3), seconds=170.0)
    made.judgements.filter(annotator=bob).update(seconds=None)
    found = course(made)
    early = [row for row in found.drift if row.dimension == 0 and row.start == 0]
    assert found.sessions == 2 and len(early) == 1
    late = [row for row in found.drift if row.dimension == 0 and row.start == 5]
    assert early[0].n == 5 and early[0].mean == pytest.approx((3 * 0.1 - 2 * 0.1) / 5)
    assert (late[0].n, late[0].mean, late[0].low) == (1, pytest.approx(-0.1), None)
    assert [early[0].distance, late[0].distance] == pytest.approx([0.1, 0.1])


def test_an_items_only_score_says_nothing_of_drift(carol: User) -> None:
    made = study("mos", (carol,))
    judge(made, carol, scores())
    found = course(made)
    assert found.drift == [] and found.agreement == []
    assert "two people" in dashboard.drift(made, found).empty and "two people" in dashboard.agreement(made, found).empty


# Agreement ----------------------------------------------------------------------------------------------------------


def test_agreement_by_blocks_is_that_of_the_blocks_items(
    carol: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two blocks in the order of the items' last judgements; each has the alpha of its own ratings."""
    monkeypatch.setattr(courses, "LEAST_ITEMS", 6)
    made = study("mos", (carol, bob), cases=4, protocol=replace(PRESETS["mos"], raters=2))
    judge(made, carol, scores(), start=NOON)
    judge(made, bob, lambda u, c: dict.fromkeys(KEYS, 1 + c.pk * 7 % 40 / 10), start=NOON + timedelta(hours=1))
    found = [block for block in course(made).agreement if block.dimension == 0]
    assert [(block.until, block.items) for block in found] == [(6, 6), (12, 6)]
    late = (NOON + timedelta(hours=1, minutes=6)).timestamp()
    assert found[0].at < late <= found[1].at
    whole = [unit.pk for unit in made.units.order_by("pk")]
    for part, block in zip((whole[:6], whole[6:]), found, strict=True):
        others = made.judgements.exclude(unit__in=part)
        others.update(is_extra=True)
        table = ratings(made)
        place = table.dimensions.to_pylist().index("quality")
        assert block.value == pytest.approx(agreement(table, "interval").dimensions[place].alpha)
        made.judgements.update(is_extra=False)


def test_agreement_on_rankings_is_the_mean_w_of_the_groups(carol: User, bob: User, mallory: User) -> None:
    made = study("group-rank", (carol, bob, mallory), cases=2)
    first = made.dataset.cases.order_by("pk").first()
    judge(made, carol, lambda _u, c: {"rank": 3 - worth(c), "score": 1.0})
    assert course(made).agreement == []  # one person agrees with nobody
    judge(made, bob, lambda _u, c: {"rank": 3 - worth(c), "score": 1.0})
    assert [row.value for row in course(made).agreement] == [1.0] * 3
    turned = lambda u, c: {"rank": 1 + worth(c) if u.item.case == first else 3 - worth(c), "score": 1.0}  # noqa: E731
    judge(made, mallory, turned)
    found = course(made)
    assert [(row.until, row.items) for row in found.agreement] == [(2, 2)] * 3
    assert found.agreement[0].value == pytest.approx((1 + 1 / 9) / 2)
    assert Course.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_equal_answers_to_everything_are_no_agreement(carol: User, bob: User) -> None:
    made = study("mos", (carol, bob), protocol=replace(PRESETS["mos"], raters=2))
    for user in (carol, bob):
        judge(made, user, lambda _u, _c: dict.fromkeys(KEYS, 3.0))
    found = course(made)
    assert [row.value for row in found.agreement] == [None] * 3
    figure = dashboard.agreement(made, found)
    assert figure.chart is None and figure.table.has_gaps and "nothing to agree on" in figure.gaps


# Distributions ------------------------------------------------------------------------------------------------------


def test_scores_are_counted_by_the_steps_of_the_scale(carol: User, bob: User) -> None:
    made = study("hp-score", (carol, bob))
    judge(made, carol, lambda _u, c: {"overall": worth(c)})
    judge(made, bob, lambda _u, _c: {"overall": 5})
    mine, his = course(made).spreads
    assert course(made).steps == [["0", "1", "2", "3", "4", "5"]]
    assert (mine.counts, mine.mean) == ([3, 3, 3, 0, 0, 0], 1)
    assert (his.counts, his.std) == ([0, 0, 0, 0, 0, 9], 0)
    assert fmean(row.n for row in (mine, his)) == 9


def test_a_fine_scale_is_cut_into_eight_parts(carol: User) -> None:
    made = study("mos", (carol,), cases=1, editors=3)
    given = iter((1.0, 1.5, 5.0))
    judge(made, carol, lambda _u, _c: dict.fromkeys(KEYS, next(given)))
    found = course(made)
    assert found.spreads[0].counts == [1, 1, 0, 0, 0, 0, 0, 1]
    assert found.steps[0][:2] == ["1–1.5", "1.5–2"]
    assert len(steps_of(Dimension("d", "D", "", 1, 8, 1))) == 8  # eight steps are not a fine scale


def test_of_comparisons_the_sides_are_counted(carol: User) -> None:
    made = study("pairwise", (carol,))
    rows = judge(made, carol, lambda _u, c: {"rank": 1 + worth(c)})
    for row, choice in zip(rows, ["A", "A", "A", "B", "tie", "both_bad", "A", "A", "A"], strict=True):
        made.judgements.filter(pk=row.pk).update(answer={"choice": choice})
    found = course(made)
    assert [row.counts for row in found.spreads] == [[6, 1, 1, 1]]
    figure = dashboard.distributions(made, found, 0)
    assert figure.table.columns[-4:] == ["left", "right", "tie", "both bad"]
    assert "no deviation" in dashboard.drift(made, found).empty


def test_sides_of_who_is_excluded_and_of_broken_pairs_do_not_count(carol: User, bob: User) -> None:
    made = study("pairwise", (carol, bob))
    for user in (carol, bob):
        for number, row in enumerate(judge(made, user, lambda _u, c: {"rank": 1 + worth(c)})):
            flag = "broken" if user == bob and number % 2 else ""
            Judgement.objects.filter(pk=row.pk).update(answer={"choice": "A"}, flag=flag)
    Exclusion.objects.create(study=made, annotator=carol, reason="Did not look.")
    assert [row.counts for row in course(made).spreads] == [[5, 0, 0, 0]]


def test_only_so_many_people_are_in_one_chart_and_all_are_in_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "PEOPLE", 2)
    times = [Times(f"a{number}", number, 1.0, 2.0, 3.0) for number in range(1, 6)]
    found = Progress([], [], [], Times("", 15, 1.0, 2.0, 3.0), times, None, 0, 0.0)
    figure = dashboard.seconds(found, start=2)
    assert figure.chart is not None
    names = [words.text for words in figure.chart.words if words.kind == "name"]
    assert names == ["Everybody", "a3", "a2"]
    assert len(figure.table.rows) == 6
