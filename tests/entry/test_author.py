"""The author's pages: guidelines with examples and versions, reference items, who stands where."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import EntryDecision, GuidelineExample, Guidelines, Member, Reference, Study, Unit
from annotation.studies import add_member
from tests.entry import rows
from tests.entry.rows import BAD, Walker
from webapp.accounts.models import User


@pytest.fixture
def study(carol: Any, bob: Any) -> Study:
    return rows.study(carol, owner=bob, tries=1, guidelines="Look closely.")


@pytest.fixture
def page(client: Client, bob: Any) -> Client:
    client.force_login(bob)
    return client


def url(name: str, study: Study, *more: Any) -> str:
    return reverse(name, args=[study.uid, *more])


def form(*examples: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The guidelines form as a browser sends it."""
    sent = {"text": "Look closely.", "note": "", "action": "publish", **values}
    sent |= {"examples-TOTAL_FORMS": len(examples), "examples-INITIAL_FORMS": 0}
    for place, one in enumerate(examples):
        sent |= {f"examples-{place}-{name}": value for name, value in one.items()}
    return sent


def test_guidelines_are_edited_with_examples_and_published(page: Client, study: Study) -> None:
    """Words are typed, an example is chosen on another page, nothing is lost, and all is published at once."""
    address, one = url("study_guidelines", study), rows.candidates(study)[0]
    assert "Look closely." in page.get(address).content.decode()
    reply = page.post(address, form(text="Look twice.", note="Twice!", action="pick"))
    assert reply["Location"] == url("study_entry_pick", study) + "?for=guidelines"
    assert one.editor.name in page.get(reply["Location"]).content.decode()
    page.post(address, {"action": "add", "candidate": str(one.uid)})
    shown = page.get(address).content.decode()
    assert "Look twice." in shown and "draft, not published" in shown
    assert f'value="{one.uid}"' in shown
    example = {"candidate": str(one.uid), "dimension": "quality", "score": "2", "words": "Torn."}
    assert page.post(address, form(example, text="Look twice.", note="Twice!")).status_code == 302
    newest = Guidelines.objects.filter(study=study).latest("number")
    assert (newest.number, newest.text, newest.note, newest.created_by.username) == (2, "Look twice.", "Twice!", "bob")
    assert list(newest.examples.values_list("candidate", "score", "words")) == [(one.pk, 2.0, "Torn.")]
    assert "draft, not published" not in page.get(address).content.decode()
    past = page.get(url("study_guidelines_history", study)).content.decode()
    assert "Twice!" in past and "Look twice." in past and "Version 1" in past
    page.post(address, form({**example, "DELETE": "on"}, text="Look twice."))
    assert not GuidelineExample.objects.filter(guidelines__number=3).exists()
    assert Guidelines.objects.count() == 3


def test_a_draft_can_be_thrown_away(page: Client, study: Study) -> None:
    page.post(url("study_guidelines", study), form(text="Draft.", action="pick"))
    page.post(url("study_guidelines", study), form(action="discard"))
    assert "Draft." not in page.get(url("study_guidelines", study)).content.decode()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (form(), "Nothing has changed"),
        (form({"candidate": "00000000-0000-4000-8000-000000000000", "dimension": "quality", "score": 2}), "data set"),
        (form({"candidate": "x", "dimension": "quality", "score": 2}), "not there any more"),
        (form({"dimension": "beauty", "score": 2}, text="New."), "Select a valid choice"),
        (form({"dimension": "quality", "score": ""}, text="New."), "required"),
        (form({"dimension": "quality", "score": 9}, text="New."), "from 1 to 5"),
    ],
)
def test_guidelines_that_are_refused_stay_in_the_form(
    page: Client, study: Study, sent: dict[str, Any], words: str
) -> None:
    if "examples-0-score" in sent and "examples-0-candidate" not in sent:
        sent = {**sent, "examples-0-candidate": str(rows.candidates(study)[0].uid)}
    reply = page.post(url("study_guidelines", study), sent)
    assert reply.status_code == 200
    assert words in reply.content.decode()
    assert sent["text"] in reply.content.decode()
    assert Guidelines.objects.filter(number__gt=1).count() == 0


def test_a_reference_item_is_added_and_withdrawn(page: Client, study: Study) -> None:
    one = rows.candidates(study)[0]
    address = url("study_reference_new", study)
    assert "right score" in page.get(address, {"for": "gold", "candidate": str(one.uid)}).content.decode()
    sent = {"candidate": str(one.uid), "purpose": "training", "score_quality": "2.5", "feedback": "Torn."}
    rooms = {f"room_{key}": "0.5" for key in ("quality", "alignment", "preservation")}
    assert page.post(address, {**sent, **rooms}).status_code == 302
    made = Reference.objects.get()
    assert made.answer == {"scores": {"quality": 2.5}, "tolerance": {"quality": 5.0}}
    assert made.unit.purpose == "training" and made.unit.item.candidates.get() == one
    shown = page.get(url("study_entry", study)).content.decode()
    assert "Visual quality 2.5 ± 0.5" in shown and "1 item" in shown
    assert "No items yet" in page.get(url("study_entry", study), {"for": "gold"}).content.decode()
    page.post(url("study_reference_withdraw", study, made.unit.uid))
    assert "Withdrawn: nobody gets it" in page.get(url("study_entry", study)).content.decode()
    assert page.post(url("study_reference_withdraw", study, Unit.objects.first().uid)).status_code == 404


@pytest.mark.parametrize("preset", ["group-rank", "pairwise"])
def test_right_answers_of_groups_and_pairs(page: Client, carol: Any, bob: Any, preset: str) -> None:
    study = rows.study(carol, owner=bob, preset=preset)
    first, second = rows.candidates(study)[:2]
    answers = {
        "group-rank": {"dimension": "alignment", "place_A": "2", "place_B": "1", "least_tau": "0.8"},
        "pairwise": {"choice": str(second.pk)},
    }
    sent = {"candidate": [str(first.uid), str(second.uid)], "purpose": "gold", **answers[preset]}
    assert page.post(url("study_reference_new", study), sent).status_code == 302
    expected = {
        "group-rank": {"order": [[second.pk], [first.pk]], "least_tau": 0.8, "dimension": "alignment"},
        "pairwise": {"choice": second.pk},
    }
    assert Reference.objects.get().answer == expected[preset]
    words = {"group-rank": "Editing alignment: B &gt; A", "pairwise": "B is better"}
    assert words[preset] in page.get(url("study_entry", study)).content.decode()


def test_reference_items_that_are_refused(page: Client, study: Study) -> None:
    address = url("study_reference_new", study)
    assert page.post(address, {"candidate": "nonsense"})["Location"] == url("study_entry_pick", study)
    two = [str(one.uid) for one in rows.candidates(study)[:2]]
    rooms = {f"room_{key}": "0.5" for key in ("quality", "alignment", "preservation")}
    sent = {"purpose": "training", "score_quality": "2", **rooms}
    assert "has 1 candidates" in page.post(address, {**sent, "candidate": two}).content.decode()
    reply = page.post(address, {**sent, "candidate": two[0], "score_quality": "2.123"})
    assert "in steps of 0.1" in reply.content.decode()
    assert "required" in page.post(address, {**sent, "candidate": two[0], "room_quality": ""}).content.decode()
    reply = page.post(address, {**rooms, "purpose": "training", "candidate": two[0]})
    assert "at least one dimension" in reply.content.decode()
    assert not Reference.objects.exists()


def test_who_stands_where_and_what_a_person_may_decide(page: Client, study: Study, carol: Any, bob: Any) -> None:
    rows.reference(study, "qualification")
    walker = Walker(Client(), study, carol)
    walker.client.force_login(carol)
    walker.go_on("guidelines", number=1)
    walker.qualify(BAD)
    shown = page.get(url("study_entry_people", study)).content.decode()
    assert "kept out: no try is left" in shown and "1: 0 %" in shown and "version 1" in shown
    address = url("study_entry_decide", study, walker.member.uid)
    page.post(address, {"kind": "try", "note": "Was interrupted."})
    assert walker.where() == "qualification"
    page.post(address, {"kind": "let_in"})
    assert walker.where() == "work"
    shown = page.get(url("study_entry_people", study)).content.decode()
    assert "One more try, bob" in shown and "Was interrupted." in shown and "Let in by hand, bob" in shown
    page.post(address, {"kind": "throw out"})
    page.post(address, {"kind": "try", "note": "x" * 301})
    assert EntryDecision.objects.count() == 2


def test_a_search_that_no_database_takes(page: Client, study: Study) -> None:
    """PostgreSQL keeps no character 0 and refuses a question with one."""
    reply = page.get(url("study_entry_pick", study) + "?find=%00case-00%00")
    assert reply.status_code == 200
    assert reply.context["find"] == "case-00"
    assert len(reply.context["groups"]) == 3


PAGES = ["study_guidelines", "study_guidelines_history", "study_entry", "study_entry_people", "study_entry_pick"]


@pytest.mark.parametrize("name", PAGES)
def test_pages_cost_the_same_however_much_there_is(page: Client, study: Study, bob: Any, name: str) -> None:
    def more(count: int) -> None:
        for number in range(count):
            user = User.objects.create(username=f"person-{User.objects.count()}", role="annotator")
            add_member(study=study, user=user)
            rows.reference(study, "qualification", number)
            newest = Guidelines.objects.filter(study=study).count() + 1
            version = Guidelines.objects.create(study=study, number=newest, text=f"Text {newest}", created_by=bob)
            for one in rows.candidates(study)[: number + 1]:
                GuidelineExample.objects.create(guidelines=version, candidate=one, dimension="quality", score=3)
        Member.objects.filter(study=study).update(guidelines_read=100)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert page.get(url(name, study)).status_code == 200
        return len(found)

    more(2)
    page.get(url(name, study))
    few = queries()
    more(4)
    assert queries() <= few <= 20


def test_others_may_look_but_not_change(client: Client, study: Study, person: Any) -> None:
    client.force_login(person("dave", "engineer"))
    for name in PAGES:
        assert client.get(url(name, study)).status_code == 200
    assert client.post(url("study_guidelines", study), form(text="Mine.")).status_code == 403
    assert client.post(url("study_reference_new", study), {}).status_code == 403
    member = Member.objects.get(study=study)
    assert client.post(url("study_entry_decide", study, member.uid), {"kind": "let_in"}).status_code == 403
    assert member.entry_decisions.count() == 0
