"""Hidden items among an annotator's work, what is written of them, and what a person decides."""

from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotation import leases, pages, sessions
from annotation.entry.services import add_reference
from annotation.hidden import placing
from annotation.models import (
    Candidate,
    Check,
    Concern,
    Control,
    Decision,
    Exclusion,
    Item,
    Judgement,
    Mark,
    Member,
    Purpose,
    Study,
    Unit,
)
from annotation.protocols import PRESETS, Checks, Protocol
from annotation.queries import work_of
from annotation.screening import checks, deciding, queries, services
from scoring import tables
from tests import judging
from tests.judging import by_worth, judge, member_of, ranked, rated, submit

PERSON = Any


def protocol(preset: str = "mos", **checks: Any) -> Protocol:
    return replace(PRESETS[preset], checks=Checks(**checks))


def threes(value: float = 3.0, **more: float) -> dict[str, Any]:
    return rated({"quality": value, "alignment": value, "preservation": value} | more)


def study_of(
    members: tuple[PERSON, ...], preset: str = "mos", cases: int = 4, editors: int = 3, **checks: Any
) -> Study:
    data = judging.dataset(cases, editors)
    return judging.study(data, preset, members, protocol(preset, **checks))


def gold(study: Study, by: PERSON, purpose: str = "gold", right: float = 5.0, instruction: str = "") -> Unit:
    edit = Candidate.objects.filter(case__dataset=study.dataset)[0]
    answer = {"scores": {"alignment": right}, "tolerance": {"alignment": 5}}
    made = add_reference(study=study, candidates=[edit], purpose=purpose, answer=answer, by=by, instruction=instruction)
    return made.unit


# Among the work ------------------------------------------------------------------------------------------------------


def test_it_works(carol: PERSON, alice: PERSON) -> None:
    """Gold, attention and repeats come by and by, are checked, and count neither as results nor twice."""
    study = study_of((carol,), cases=10, gold_every=10, attention_every=10, repeat_every=5)
    for _number in range(3):
        gold(study, alice, right=5.0)
        gold(study, alice, "attention", right=3.0, instruction="Give 3 on all scales.")
    assert judge(study, carol, lambda _assignment: threes()) > 30
    purposes = Counter(Judgement.objects.values_list("unit__purpose", flat=True))
    assert purposes[Purpose.LIVE] == 30
    assert purposes[Purpose.GOLD] == purposes[Purpose.ATTENTION] == 3
    assert purposes[Purpose.REPEAT] >= 6
    stood = Counter(Check.objects.values_list("kind", "passed"))
    assert stood == {("gold", False): 3, ("attention", True): 3, ("repeat", True): purposes[Purpose.REPEAT]}
    assert Mark.objects.counted().count() == 30 * 3
    assert tables.counted_marks(study).count() == 30 * 3
    assert {row.unit.taken for row in Judgement.objects.select_related("unit")} == {1}


def test_progress_grows_by_no_hidden_item_and_never_passes_its_total(carol: PERSON, alice: PERSON) -> None:
    study = study_of((carol,), cases=8, gold_every=6, repeat_every=4)
    gold(study, alice)
    gold(study, alice)
    member, totals = member_of(study, carol), []
    while lent := leases.lease(member, count=1, turn=member.done):
        totals.append(sessions.total_of(member, member.done + 1) or 0)
        submit(member, lent[0], threes())
        member = member_of(study, carol)
        assert member.done <= totals[-1]
    assert member.done == study.judgements.count() > 24
    assert all(first >= later for first, later in pairwise(totals)), totals
    assert totals[0] - totals[-1] <= 3, "only what could not come: there was nothing left to repeat"


def test_a_repeat_is_not_among_the_last_ten_and_comes_once(carol: PERSON) -> None:
    study = study_of((carol,), cases=10, repeat_every=3)
    judge(study, carol, lambda _assignment: threes())
    items = list(Judgement.objects.order_by("id").values_list("unit__item", "unit__purpose"))
    repeated = [place for place, (_item, purpose) in enumerate(items) if purpose == Purpose.REPEAT]
    assert repeated
    for place in repeated:
        assert items[place][0] not in [item for item, _purpose in items[place - 10 : place]]
    assert len({items[place][0] for place in repeated}) == len(repeated)


def test_a_repeat_of_a_group_is_not_among_the_last_ten_groups(carol: PERSON) -> None:
    """A group is several units, one for each dimension: ten of these would be three groups."""
    study = study_of((carol,), "group-rank", cases=14, editors=2, repeat_every=4)
    judge(study, carol, lambda assignment: ranked(by_worth(assignment, lambda pk: pk)))
    items = list(Judgement.objects.order_by("id").values_list("unit__item", "unit__purpose"))
    repeated = [place for place, (_item, purpose) in enumerate(items) if purpose == Purpose.REPEAT]
    assert repeated
    for place in repeated:
        last = max(at for at in range(place) if items[at] == (items[place][0], Purpose.LIVE))
        since = {item for item, _purpose in items[last:place]} - {items[place][0]}
        assert len(since) >= 10


@pytest.mark.parametrize("position", [0, 1])
def test_a_hidden_group_comes_in_all_dimensions_as_any_other(carol: PERSON, alice: PERSON, position: int) -> None:
    """Nobody can tell it by the number or the order of its passes; one of them is checked."""
    study = study_of((carol,), "group-rank", cases=16, editors=2, repeat_every=12, gold_every=20)
    Member.objects.update(position=position)
    group = list(Candidate.objects.filter(case__dataset=study.dataset)[:2])
    answer = {"order": [[group[0].pk], [group[1].pk]], "least_tau": 1}
    add_reference(study=study, candidates=group, purpose="gold", answer=answer, by=alice)
    member, totals, given = member_of(study, carol), [], list[Any]()
    while lent := leases.lease(member, count=2, turn=member.done):
        totals.append(sessions.total_of(member, member.done + len(lent)) or 0)
        given += [(row.unit.item_id, row.unit.dimension, row.unit.purpose) for row in lent]
        for row in lent:
            submit(member, row, ranked(by_worth(row, float)))
        member = member_of(study, carol)
    assert len(given) == totals[0] and max(totals) == totals[0]
    passes = [list(rows) for _item, rows in groupby(given, key=lambda row: row[0])]
    first = [key for _item, key, _purpose in passes[0]]
    assert len(first) == 3 and all([key for _item, key, _purpose in rows] == first for rows in passes)
    hidden = Counter(purpose for _item, _key, purpose in given if purpose != "live")
    assert hidden["gold"] == 1 and hidden["repeat"] > 1
    assert hidden["beside"] == 2 * (hidden["gold"] + hidden["repeat"])
    assert Check.objects.count() == hidden["gold"] + hidden["repeat"]


def test_two_who_repeat_an_item_share_its_unit(carol: PERSON, mallory: PERSON) -> None:
    study = study_of((carol, mallory), cases=5, repeat_every=2)
    for person in (carol, mallory):
        judge(study, person, lambda _assignment: threes())
    again = Unit.objects.filter(purpose=Purpose.REPEAT)
    assert {unit.round for unit in again} == {2}
    assert Judgement.objects.filter(unit__in=again).count() > again.count()


def test_nothing_tells_a_hidden_item_from_others(carol: PERSON, alice: PERSON) -> None:
    study = study_of((carol,), cases=10, attention_every=3, repeat_every=3)
    for _number in range(4):
        gold(study, alice, "attention", instruction="Give 3 on all scales.")
    member, values = member_of(study, carol), {}
    while lent := leases.lease(member, count=1, turn=member.done):
        (values[lent[0].unit.purpose],) = pages.assignment_values(lent, member)
        submit(member, lent[0], threes())
        member = member_of(study, carol)
    assert set(values) == {"live", "attention", "repeat"}
    assert len({frozenset(value) for value in values.values()}) == 1
    text = str(list(values.values()))
    assert not [word for word in ("gold", "attention'", "repeat", "round", "purpose", "control") if word in text]
    assert values["attention"]["case"]["instruction"] == "Give 3 on all scales."


def test_a_study_without_checks_asks_for_nothing(carol: PERSON, django_assert_num_queries: Any) -> None:
    study = study_of((carol,))
    with django_assert_num_queries(0):
        assert placing.due(Member(study=study, user=carol), 5, 1) == []


# Controls ------------------------------------------------------------------------------------------------------------


def test_controls_of_a_rating_study(carol: PERSON) -> None:
    study = study_of((carol,), cases=4, source_share=0.5, duplicate_share=0.25)
    kinds = Counter(Candidate.everything.values_list("control", flat=True))
    assert kinds == {"": 12, "source": 2, "duplicate": 1}
    assert study.units.count() == 12 + 3

    def answer(assignment: Any) -> Any:
        (shown,) = Candidate.everything.filter(pk__in=assignment.order)
        if shown.control == Control.SOURCE:
            assert shown.image_id == shown.case.source_id
            return threes(5, alignment=1.0)
        return threes()

    judge(study, carol, answer)
    assert Counter(Check.objects.values_list("kind", "passed")) == {("source", True): 2, ("duplicate", True): 1}
    assert Mark.objects.counted().count() == 12 * 3, "controls are no results"
    assert Candidate.objects.count() == 12, "nor are they candidates elsewhere"


def test_the_pictures_of_controls_are_there_like_any_others(carol: PERSON) -> None:
    study = study_of((carol,), "group-rank", cases=1, source_share=1.0, duplicate_share=1.0)
    (assignment, *_others) = leases.lease(member_of(study, carol), count=1, turn=0)
    shown = [pages.image_behind(assignment, letter) for letter in "ABCDE"]
    kept = Candidate.everything.in_bulk(assignment.order)
    assert [image and image.pk for image in shown] == [kept[key].image_id for key in assignment.order]
    assert pages.image_behind(assignment, "F") is None


def test_a_control_moves_no_rank_that_counts(carol: PERSON) -> None:
    study = study_of((carol,), "group-rank", cases=2, source_share=1.0, duplicate_share=1.0)
    assert {item.entries.count() for item in Item.objects.all()} == {5}
    (assignment,) = leases.lease(member_of(study, carol), count=1, turn=0)
    rows = {row.pk: row for row in Candidate.everything.filter(pk__in=assignment.order)}
    duplicate = next(row for row in rows.values() if row.control == Control.DUPLICATE)
    worth = {pk: -1.0 if row.control == Control.SOURCE else 0.0 for pk, row in rows.items()}
    for place, pk in enumerate(pk for pk, row in rows.items() if not row.control):
        worth[pk] = place + 1.0
    worth[duplicate.pk] = worth[duplicate.duplicate_of_id or 0]
    submit(member_of(study, carol), assignment, ranked(by_worth(assignment, lambda pk: worth[pk])))
    ranks = dict(Mark.objects.counted().values_list("candidate", "rank"))
    assert set(ranks.values()) == {1.0, 2.0, 3.0}
    assert Check.objects.get(kind="duplicate").passed


def test_the_source_above_the_edits_fails_in_alignment(carol: PERSON) -> None:
    study = study_of((carol,), "group-rank", cases=1, source_share=1.0)
    source = Candidate.everything.get(control="source").pk
    judge(study, carol, lambda assignment: ranked(by_worth(assignment, lambda pk: float(pk == source))))
    passed = {check.judgement.unit.dimension: check.passed for check in Check.objects.select_related("judgement__unit")}
    assert passed == {"alignment": False, "preservation": True}


def test_a_full_group_gets_no_control_and_pairs_get_none(carol: PERSON) -> None:
    full = study_of((), "group-rank", cases=1, editors=23, source_share=1.0)
    assert {item.entries.count() for item in full.items.all()} == {23}
    pairs = study_of((), "pairwise", cases=1, source_share=1.0, duplicate_share=1.0)
    assert not Candidate.everything.filter(items__study=pairs).exclude(control="").exists()


# Written down --------------------------------------------------------------------------------------------------------


def test_a_revised_answer_is_checked_anew(carol: PERSON, alice: PERSON) -> None:
    study = study_of((carol,), gold_every=1)
    gold(study, alice, right=5.0)
    (assignment,) = leases.lease(member_of(study, carol), count=1, turn=0)
    assert assignment.unit.purpose == Purpose.GOLD
    submit(member_of(study, carol), assignment, threes(1))
    assert [check.passed for check in Check.objects.all()] == [False]
    submit(member_of(study, carol), assignment, threes(5))
    assert [check.passed for check in Check.objects.all()] == [True]
    submit(member_of(study, carol), assignment, rated({}, flag="broken"))
    assert not Check.objects.exists()


def test_a_revised_original_changes_the_check_on_its_repeat(carol: PERSON) -> None:
    study = study_of((carol,), cases=5, repeat_every=2)
    judge(study, carol, lambda _assignment: threes())
    check = Check.objects.select_related("judgement__unit").first()
    assert check is not None
    first = Judgement.objects.get(unit__item=check.judgement.unit.item, unit__purpose=Purpose.LIVE)
    submit(member_of(study, carol), first.assignment, threes(5))
    check.refresh_from_db()
    assert not check.passed


def failing(carol: PERSON, alice: PERSON) -> Study:
    """A study in which carol failed two gold items of two; one more failure is a concern."""
    study = study_of((carol,), gold_every=1, least=2)
    for _number in range(2):
        gold(study, alice, right=5.0)
    judge(study, carol, lambda _assignment: threes(1), limit=2)
    return study


def test_failed_checks_open_one_concern_and_change_nothing_else(carol: PERSON, alice: PERSON) -> None:
    study = failing(carol, alice)
    concern = Concern.objects.get()
    assert (concern.annotator, concern.kind, concern.state) == (carol, "gold", "open")
    assert concern.words.startswith("2 of 2 gold items failed: 100 %, where 30 % are borne.")
    assert concern.figures["p"] == pytest.approx(0.09)
    assert not Exclusion.objects.exists()
    assert member_of(study, carol).paused_at is None
    services.screen_all(study=study)
    assert Concern.objects.count() == 1


def test_what_was_decided_counts_no_second_time(carol: PERSON, alice: PERSON) -> None:
    study = failing(carol, alice)
    services.decide(concern=Concern.objects.get(), kind="dismiss", by=alice, note="A first day.")
    assert services.screen_all(study=study) == []
    for _number in range(2):
        gold(study, alice, right=5.0)
    judge(study, carol, lambda _assignment: threes(1), limit=2)
    assert [(row.state, row.figures["checks"]) for row in Concern.objects.order_by("id")] == [
        ("dismissed", 2),
        ("open", 2),
    ]


def test_behaviour_is_looked_at_now_and_then(
    carol: PERSON, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    """Once an answer is stored, and never before: three equal answers in a row are a straight line here."""
    monkeypatch.setattr(services, "LOOKS_EVERY", 1)
    study = study_of((carol,), straight_run=3)
    judge(study, carol, lambda _assignment: threes(), limit=3)
    assert not Concern.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        judge(study, carol, lambda _assignment: threes(), limit=1)
    concern = Concern.objects.get()
    assert (concern.kind, concern.figures["longest"]) == ("straight", 4)
    assert concern.words == "The same answer 4 times in a row; 1 different answers in 4."


def test_a_broken_check_costs_no_answer(carol: PERSON, alice: PERSON, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_judgement: Judgement) -> set[str]:
        raise RuntimeError("no")

    monkeypatch.setattr(checks, "write", broken)
    failing(carol, alice)
    assert Judgement.objects.count() == 2
    assert not Check.objects.exists()


# Decided by a person -------------------------------------------------------------------------------------------------


def test_a_warning_is_read_before_more_work(carol: PERSON, alice: PERSON) -> None:
    study = failing(carol, alice)
    made = services.decide(concern=Concern.objects.get(), kind="warn", by=alice, to_annotator="Look closely.")
    member = member_of(study, carol)
    more = pages.more_work(member, [], want=1, have=[])
    assert (more["assignments"], more["done"]) == ([], None)
    assert more["step"]["go"] == f"/work/{study.uid}/message/"
    assert queries.unread(member) == made
    deciding.acknowledge(member=member, decision=made)
    made.refresh_from_db()
    assert made.seen_at is not None
    assert pages.more_work(member, [], want=1, have=[]).get("step") is None


def test_an_excluded_annotator_gets_no_more_work_until_it_is_lifted(carol: PERSON, alice: PERSON) -> None:
    study = study_of((carol,))
    first, held = leases.lease(member_of(study, carol), count=2, turn=0)
    submit(member_of(study, carol), first, threes())
    services.exclude(study=study, annotator=carol, by=alice, note="Did not look.")
    more = pages.more_work(member_of(study, carol), [], want=1, have=[])
    assert more["assignments"] == [] and "step" not in more
    assert more["done"] == "Your work in this study has ended. Thank you. What you sent is stored."
    assert [row.closed for row in work_of(carol)] == ["Ended"]
    submit(member_of(study, carol), held, threes())
    assert Judgement.objects.count() == 2, "what they had before them is stored"
    deciding.lift_exclusion(study=study, annotator=carol, by=alice)
    assert pages.more_work(member_of(study, carol), [], want=1, have=[])["assignments"]
    assert [row.closed for row in work_of(carol)] == [""]


def test_a_paused_annotator_sees_it_under_my_work(carol: PERSON, alice: PERSON) -> None:
    study = study_of((carol,))
    services.pause(study=study, annotator=carol, by=alice, to_annotator="Call us, please.")
    assert [row.closed for row in work_of(carol)] == ["Paused"]


def test_a_paused_annotator_reads_why_and_keeps_what_they_send(carol: PERSON, alice: PERSON) -> None:
    study = study_of((carol,))
    (assignment,) = leases.lease(member_of(study, carol), count=1, turn=0)
    services.pause(study=study, annotator=carol, by=alice, to_annotator="Call us, please.")
    more = pages.more_work(member_of(study, carol), [], want=1, have=[])
    assert more["assignments"] == []
    assert more["done"] == "Your work in this study is paused. Call us, please. What you sent is stored."
    assert not submit(member_of(study, carol), assignment, threes()).is_extra
    services.lift_pause(study=study, annotator=carol, by=alice, note="We talked.")
    assert pages.more_work(member_of(study, carol), [], want=1, have=[])["assignments"]
    assert list(Decision.objects.order_by("id").values_list("kind", "by__username", "note")) == [
        ("pause", "alice", ""),
        ("unpause", "alice", "We talked."),
    ]


def test_excluded_judgements_stay_and_stop_counting(carol: PERSON, mallory: PERSON, alice: PERSON) -> None:
    study = study_of((carol, mallory), cases=1)
    for person in (carol, mallory):
        judge(study, person, lambda _assignment: threes())
    services.exclude(study=study, annotator=carol, by=alice, note="Did not look.")
    assert Judgement.objects.count() == 6
    assert Judgement.objects.standing().count() == Judgement.objects.counted().count() == 3
    assert set(Mark.objects.counted().values_list("judgement__annotator", flat=True)) == {mallory.pk}
    services.lift_exclusion(study=study, annotator=carol, by=alice)
    assert Mark.objects.counted().count() == 18
    row = Exclusion.objects.get()
    assert (row.reason, row.by, row.lifted_by) == ("Did not look.", alice, alice)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda about: services.warn(to_annotator=" ", **about), "Write what"),
        (lambda about: services.exclude(note=" ", **about), "Write down why"),
        (lambda about: services.exclude(note="x", **about), "has judged nothing"),
        (lambda about: services.lift_exclusion(**about), "is not excluded"),
        (lambda about: services.lift_pause(**about), "is not paused"),
        (lambda about: services.pause(**{**about, "annotator": about["by"]}), "is no annotator"),
    ],
)
def test_refusals(act: Any, words: str, carol: PERSON, alice: PERSON) -> None:
    study = study_of((carol,), cases=1)
    with pytest.raises(ValidationError, match=words):
        act({"study": study, "annotator": carol, "by": alice})
    assert not Decision.objects.exists()


def test_twice_is_refused(carol: PERSON, alice: PERSON) -> None:
    study = failing(carol, alice)
    about = {"study": study, "annotator": carol, "by": alice}
    services.pause(**about)
    with pytest.raises(ValidationError, match="paused already"):
        services.pause(**about)
    services.exclude(note="x", **about)
    with pytest.raises(ValidationError, match="excluded already"):
        services.exclude(note="x", **about)
    concern = Concern.objects.get()
    with pytest.raises(ValidationError, match="Choose one"):
        services.decide(concern=concern, kind="unpause", by=alice)
    with pytest.raises(ValidationError, match="excluded already"):
        services.decide(concern=concern, kind="exclude", by=alice, note="x")
    concern.refresh_from_db()
    assert concern.state == "open", "what was refused is undone"
    services.decide(concern=concern, kind="dismiss", by=alice)
    with pytest.raises(ValidationError, match="decided already"):
        services.decide(concern=concern, kind="warn", by=alice, to_annotator="x")
