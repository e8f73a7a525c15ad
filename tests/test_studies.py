"""Making studies, inviting people, opening and closing: what is made, and what is refused with nothing half made."""

import re
from dataclasses import replace
from math import comb
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from annotation.forms import StudyForm
from annotation.models import Candidate, Item, ItemCandidate, Member, Study, Unit
from annotation.pages import study_value
from annotation.protocols import PRESETS
from annotation.studies import LARGEST_GROUP, add_member, join_invited, remove_member
from tests import judging
from tests.judging import dataset, judge, member_of, rated
from webapp.accounts import services as accounts
from webapp.accounts.models import User


def filled(data: Any, **values: Any) -> dict[str, Any]:
    """The form of a new study."""
    return {"name": "New study", "dataset": data.pk, "preset": "mos", "guidelines": ""} | values


@pytest.fixture
def desk(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


# What a study is made of --------------------------------------------------------------------------------------------


def test_it_works(db: None) -> None:
    """Rating: an item for every candidate, and one unit for all dimensions together."""
    study = judging.study(dataset(cases=2, editors=3))
    assert (study.items.count(), study.units.count()) == (6, 6)
    assert set(study.units.values_list("dimension", "round", "target", "taken", "done")) == {("", 1, 5, 0, 0)}
    assert Candidate.objects.filter(items__study=study).count() == 6


def test_a_ranking_asks_for_every_group_once_a_dimension(db: None) -> None:
    study = judging.study(dataset(cases=2, editors=4), "group-rank")
    assert study.items.count() == 2
    assert {item.candidates.count() for item in study.items.all()} == {4}
    asked = sorted(study.items.all()[0].units.values_list("dimension", flat=True))
    assert asked == ["alignment", "preservation", "quality"]
    assert set(study.units.values_list("target", flat=True)) == {3}


def test_a_comparison_asks_for_every_pair_of_a_case(db: None) -> None:
    study = judging.study(dataset(cases=2, editors=4), "pairwise")
    assert study.items.count() == 2 * comb(4, 2)
    pairs = {tuple(item.candidates.order_by("pk").values_list("pk", flat=True)) for item in study.items.all()}
    assert len(pairs) == 12
    assert all(item.candidates.filter(case=item.case).count() == 2 for item in study.items.all())


def test_items_that_are_named_are_made_as_they_are(db: None) -> None:
    """Also with what a check set aside: who names them has decided."""
    data = dataset(cases=2, editors=2, seeds=2)
    Candidate.objects.filter(case__key="case-000", seed=0).update(fault="blank")
    wanted = []
    for case in data.cases.order_by("pk"):
        for seed in (0, 1):
            pair = case.candidates.filter(seed=seed).order_by("editor__slug").values_list("pk", flat=True)
            wanted.append((case.pk, tuple(pair)))
    study = judging.study(data, "pairwise", items=wanted)
    found = [
        (item.case_id, tuple(item.candidates.order_by("pk").values_list("pk", flat=True))) for item in study.items.all()
    ]
    assert sorted(found) == sorted(wanted), "not every pair of a case"
    with pytest.raises(ValidationError, match="nothing to judge yet"):
        judging.study(data, "pairwise", items=[])


def test_only_the_chosen_candidates_are_judged(db: None) -> None:
    data = dataset(cases=2, editors=3)
    chosen = Candidate.objects.filter(case__dataset=data, editor__slug__in=["editor-0", "editor-2"])
    study = judging.study(data, candidates=chosen)
    assert set(Candidate.objects.filter(items__study=study)) == set(chosen)


def test_a_case_with_one_candidate_is_left_out_of_a_ranking(db: None) -> None:
    data = dataset(cases=2, editors=2)
    Candidate.objects.filter(case__key="case-000", editor__slug="editor-1").delete()
    assert judging.study(data, "group-rank").items.get().case.key == "case-001"


def test_places_of_units_are_drawn_by_the_studys_seed(db: None) -> None:
    data = dataset(cases=5, editors=2)
    studies = [judging.study(data, seed=seed) for seed in (1, 1, 2)]
    drawn = [list(study.units.order_by("pk").values_list("shuffle", flat=True)) for study in studies]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(0 <= place < 1 for place in drawn[0])
    assert judging.study(data, seed=None).seed != judging.study(data, seed=None).seed


# Refusals -----------------------------------------------------------------------------------------------------------


def nothing_was_made() -> bool:
    return not any(model.objects.exists() for model in (Study, Item, ItemCandidate, Unit))


@pytest.mark.parametrize(
    ("cases", "editors", "preset"), [(0, 1, "mos"), (2, 0, "mos"), (2, 1, "group-rank"), (2, 1, "pairwise")]
)
def test_a_study_of_nothing_is_refused(db: None, cases: int, editors: int, preset: str) -> None:
    data = dataset(cases, editors)
    with pytest.raises(ValidationError, match="nothing to judge"):
        judging.study(data, preset)
    assert nothing_was_made()


def test_a_group_without_enough_letters_is_refused(db: None) -> None:
    data = dataset(cases=1, editors=2, seeds=12)
    with pytest.raises(ValidationError, match=f"1 case has more than {LARGEST_GROUP}"):
        judging.study(data, "group-rank")
    assert nothing_was_made()
    Candidate.objects.filter(case__dataset=data).first().delete()  # type: ignore[union-attr]
    assert judging.study(data, "group-rank").items.get().candidates.count() == LARGEST_GROUP


@pytest.mark.parametrize("name", ["", "x" * 121])
def test_a_study_without_a_proper_name_is_refused(db: None, name: str) -> None:
    data = dataset(cases=1)
    with pytest.raises(ValidationError, match="name"):
        judging.study(data, name=name)
    assert nothing_was_made()


# The form -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_an_untouched_form_keeps_the_preset(db: None, preset: str) -> None:
    form = StudyForm(filled(dataset(), preset=preset))
    assert form.is_valid(), form.errors
    assert form.protocol() == PRESETS[preset]


def test_the_form_changes_what_it_asks_for(db: None) -> None:
    form = StudyForm(filled(dataset(), preset="group-rank", raters=7, duels="all", session_minutes=20))
    assert form.is_valid(), form.errors
    assert form.protocol() == replace(PRESETS["group-rank"], raters=7, duels="all", session_minutes=20)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 121),
        ("dataset", 0),
        ("dataset", "nonsense"),
        ("preset", "guess"),
        ("editors", [0]),
        ("raters", 0),
        ("raters", 101),
        ("raters", "many"),
        ("duels", "some"),
        ("session_minutes", 0),
        ("session_minutes", 241),
        ("raters_test", 0),
        ("raters_dev", 101),
        ("block", 1),
        ("block", 24),
        ("block_times", 1),
        ("block_times", 11),
        ("least_width", 319),
        ("least_width", 8001),
        ("pass_mark", 0),
        ("pass_mark", 101),
        ("tries", 0),
        ("tries", 21),
        ("gold_every", -1),
        ("attention_every", 1001),
        ("repeat_every", "often"),
        ("source_share", 101),
        ("duplicate_share", -1),
        ("least_seconds", 601),
        ("least_seconds", "nan"),
        ("straight_run", 1001),
        ("allowed", 101),
        ("least", 0),
        ("consent", "x" * 20_001),
    ],
)
def test_the_form_refuses_and_makes_nothing(desk: Client, field: str, value: Any) -> None:
    answer = desk.post(reverse("new_study"), filled(dataset(), preset="group-rank") | {field: value})
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert nothing_was_made()


def test_a_study_is_made_by_page(desk: Client, bob: User) -> None:
    data = dataset(cases=2, editors=3)
    chosen = Candidate.objects.filter(editor__slug="editor-1").values_list("editor", flat=True)[0]
    answer = desk.post(reverse("new_study"), filled(data, editors=[chosen], raters=2, guidelines="Look *closely*."))
    study = Study.objects.get()
    assert answer["Location"] == study.get_absolute_url()
    assert (study.created_by, study.state, study.protocol.raters, study.units.count()) == (bob, "open", 2, 2)
    assert study.protocol == replace(PRESETS["mos"], raters=2)


def test_a_study_of_nothing_is_refused_by_page_in_words(desk: Client) -> None:
    answer = desk.post(reverse("new_study"), filled(dataset(cases=1, editors=1), preset="group-rank"))
    assert "nothing to judge" in answer.content.decode()
    assert nothing_was_made()


# People -------------------------------------------------------------------------------------------------------------


def test_members_get_numbers_and_nobody_is_added_twice(db: None, carol: User, mallory: User) -> None:
    study = judging.study(dataset())
    assert [add_member(study=study, user=user).position for user in (carol, mallory, carol)] == [0, 1, 0]
    assert study.members.count() == 2


def test_a_place_that_was_left_is_taken_first(db: None, alice: User, bob: User, carol: User, mallory: User) -> None:
    """The number decides which dimension comes first, so gaps and doubles would upset the rotation."""
    study = judging.study(dataset(), members=(alice, bob, carol))
    remove_member(study=study, user=alice)
    assert add_member(study=study, user=mallory).position == 0
    assert add_member(study=study, user=alice).position == 3
    assert sorted(study.members.values_list("position", flat=True)) == [0, 1, 2, 3]


def test_what_a_removed_member_judged_stays(db: None, carol: User) -> None:
    study = judging.study(dataset(cases=1, editors=2), "hp-score", (carol,))
    judge(study, carol, lambda _assignment: rated({"overall": 3}))
    remove_member(study=study, user=carol)
    assert not Member.objects.exists()
    assert study.judgements.count() == 2


def test_members_are_added_invited_and_removed_by_page(desk: Client, bob: User, carol: User) -> None:
    study = judging.study(dataset(), by=bob)
    page = reverse("study_members", args=[study.uid])
    assert desk.post(page, {"user": carol.pk})["Location"] == page
    assert study.members.get().user == carol
    answer = desk.post(page, {"user": 0})
    assert answer.context["form"].errors
    link = desk.post(page, {"invite": "1"}).context["link"]
    newcomer = Client()
    form = {"username": "dora", "password": "a-long-passphrase", "repeat": "a-long-passphrase"}
    assert newcomer.post(link, form).status_code == 302
    assert newcomer.get(reverse("work")).status_code == 200  # joins what the invitation was for
    assert set(study.members.values_list("user__username", flat=True)) == {"carol", "dora"}
    desk.post(reverse("study_remove_member", args=[study.uid, carol.pk]))
    assert study.members.get().user.username == "dora"
    desk.post(reverse("study_remove_member", args=[study.uid, study.members.get().user_id]))
    assert newcomer.get(reverse("work")).status_code == 200
    assert not study.members.exists(), "an invitation that was used once brings nobody back"


def test_an_invitation_lets_into_its_own_study_alone(db: None, bob: User) -> None:
    data = dataset()
    wanted, other = judging.study(data), judging.study(data)
    _invitation, token = accounts.invite(by=bob, role="annotator", study_uid=wanted.uid)
    user, _used = accounts.accept(token=token, username="dora", password="a-long-passphrase")
    for _visit in range(2):
        join_invited(user)
    assert [member.study for member in Member.objects.all()] == [wanted]
    assert not other.members.exists()


# State and guidelines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["paused", "closed", "open"])
def test_a_study_is_paused_closed_and_opened_by_page(desk: Client, bob: User, state: str) -> None:
    study = judging.study(dataset(), by=bob)
    desk.post(reverse("study_state", args=[study.uid]), {"state": state})
    assert Study.objects.get().state == state


@pytest.mark.parametrize("state", ["", "burnt"])
def test_an_unknown_state_is_refused_in_words(desk: Client, bob: User, state: str) -> None:
    study = judging.study(dataset(), by=bob)
    answer = desk.post(reverse("study_state", args=[study.uid]), {"state": state}, follow=True)
    assert "A study is open, paused or closed." in answer.content.decode()
    assert Study.objects.get().state == "open"


def test_guidelines_reach_the_annotator_as_clean_html(db: None, carol: User) -> None:
    text = "# Look\n\n*closely*\n\n<script>alert(1)</script><img src=x onerror=alert(1)>\n\n[a](javascript:alert(1))"
    study = judging.study(dataset(), members=(carol,), guidelines=text)
    html = study_value(member_of(study, carol))["guidelines"]
    assert "<em>closely</em>" in html
    assert not re.search(r"script|onerror|<img", html)


def test_the_page_gets_the_protocol_as_it_was_frozen(db: None, carol: User, monkeypatch: pytest.MonkeyPatch) -> None:
    study = judging.study(dataset(), "hp-score", (carol,))
    monkeypatch.setitem(PRESETS, "hp-score", PRESETS["mos"])
    value = study_value(member_of(study, carol))
    assert [row["key"] for row in value["dimensions"]] == ["overall"]
    assert value["dimensions"][0]["scale"]["anchors"]["5"].startswith("Every point")
