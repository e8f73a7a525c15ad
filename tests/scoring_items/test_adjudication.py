"""A senior decides on a contested item: blind, beside the judgements, as often as they like."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from annotation.models import Adjudication, Mark, Unit
from scoring.reannotation import queries, services
from tests.scoring_items.make import annotators, contested_group, give, study, torn_group, unit_of
from webapp.accounts.models import User


@pytest.fixture
def client(alice: User) -> Client:
    found = Client()
    found.force_login(alice)
    return found


@pytest.fixture
def torn(db: None) -> Unit:
    return contested_group()


def uids(unit: Unit) -> list[str]:
    return [str(candidate.uid) for candidate in unit.item.candidates.order_by("pk")]


def send(client: Client, unit: Unit, places: dict[str, Any], **more: Any) -> Any:
    return client.post(reverse("adjudicate", args=[unit.item.uid]), {**places, **more})


def quality(unit: Unit, *places: Any) -> dict[str, Any]:
    return {f"quality-{uid}": place for uid, place in zip(uids(unit), places, strict=True)}


def body(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_a_decision_is_kept_beside_the_judgements(client: Client, torn: Unit, alice: User) -> None:
    before = list(Mark.objects.order_by("pk").values())
    response = send(client, torn, quality(torn, 2, 1, 2), note="The second alone is clean.")
    assert response["Location"] == reverse("item", args=[torn.item.uid])
    kept = Adjudication.objects.get()
    first, second, third = uids(torn)
    assert kept.answer == {"order": [[second], sorted([first, third])]}
    assert (kept.dimension, kept.note, kept.by, kept.study) == (
        "quality",
        "The second alone is clean.",
        alice,
        torn.study,
    )
    assert queries.places(kept) == {second: 1, first: 2.5, third: 2.5}
    assert list(Mark.objects.order_by("pk").values()) == before
    page = body(client.get(reverse("item", args=[torn.item.uid])))
    assert "Decided by alice" in page
    assert "The second alone is clean." in page
    assert '<td class="num"><strong>1.67</strong></td>' in page  # the annotators' mean rank stays


def test_several_decisions_follow_each_other_and_the_last_one_stands(client: Client, torn: Unit) -> None:
    send(client, torn, quality(torn, 1, 2, 3))
    send(client, torn, quality(torn, 3, 2, 1))
    made = list(queries.decisions(torn.study))
    assert len(made) == 2
    assert queries.standing(made)[torn.item_id, "quality"] == made[1]
    assert body(client.get(reverse("item", args=[torn.item.uid]))).count("Decided by alice") == 2


def test_the_editors_names_are_hidden_until_the_decision(client: Client, torn: Unit) -> None:
    item, decide = reverse("item", args=[torn.item.uid]), reverse("adjudicate", args=[torn.item.uid])
    judgement = reverse("judgement", args=[torn.judgements.first().uid])  # type: ignore[union-attr]
    for address in (item, decide, judgement):
        assert "Editor" not in body(client.get(address)).replace("Editors", "")
    assert "Editor 1" in body(client.get(item + "?names=1"))
    send(client, torn, quality(torn, 1, 2, 3))
    assert "Editor 1" in body(client.get(item))
    assert "Editor 1" in body(client.get(judgement))
    assert "Editor 1" not in body(client.get(decide))  # a second decision is blind, too


def test_a_decision_on_another_dimension_does_not_lift_the_veil(client: Client, torn: Unit) -> None:
    send(client, torn, {name.replace("quality", "alignment"): place for name, place in quality(torn, 1, 2, 3).items()})
    assert "Editor 1" not in body(client.get(reverse("item", args=[torn.item.uid])))


def test_names_are_shown_where_nothing_is_contested(client: Client, db: None) -> None:
    assert "Editor 1" in body(client.get(reverse("item", args=[torn_group(raters=2).item.uid])))


def test_the_page_shows_answers_and_remarks(client: Client, torn: Unit) -> None:
    torn.judgements.update(remark="Hard to tell apart.")
    page = body(client.get(reverse("adjudicate", args=[torn.item.uid])))
    assert page.count("Hard to tell apart.") == 3
    assert "low agreement" in page


def test_controls_are_not_decided_on(client: Client, torn: Unit) -> None:
    control = torn.item.candidates.order_by("pk")[0]
    before = uids(torn)
    type(control).everything.filter(pk=control.pk).update(control="source")
    assert str(control.uid) not in client.get(reverse("adjudicate", args=[torn.item.uid])).context["form"].fields
    send(client, torn, quality(torn, 1, 2))
    assert Adjudication.objects.get().answer == {"order": [[before[1]], [before[2]]]}


def test_scores_of_a_rated_item(client: Client, db: None) -> None:
    made = study("mos", editors=1, raters=2)
    unit = unit_of(made)
    for user, score in zip(annotators(2), (1, 5), strict=True):
        give(unit, user, scores={"quality": score, "alignment": 3, "preservation": 3})
    (uid,) = uids(unit)
    assert send(client, unit, {f"quality-{uid}": "4.5", f"alignment-{uid}": "3"}).status_code == 302
    assert {row.dimension: row.answer for row in Adjudication.objects.all()} == {
        "quality": {"scores": {uid: 4.5}},
        "alignment": {"scores": {uid: 3.0}},
    }
    page = client.get(reverse("item", args=[unit.item.uid]))
    quality_question = page.context["page"].questions[0]
    assert (quality_question.mos.mos, quality_question.decisions[0].cells) == (3.0, [4.5])


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (("", "", ""), "Decide on one dimension at least."),
        ((1, 2, ""), "Visual quality: give every candidate a number, or leave all of them empty."),
        ((1, 2, 4), "less than or equal to 3"),
        ((0, 1, 2), "greater than or equal to 1"),
        (("best", 2, 3), "Enter a whole number."),
    ],
)
def test_places_that_cannot_be_kept(client: Client, torn: Unit, places: tuple[Any, ...], words: str) -> None:
    response = send(client, torn, quality(torn, *places), note="My reason.")
    assert response.status_code == 200
    assert words in body(response)
    assert "My reason." in body(response)  # what was typed is not lost
    assert not Adjudication.objects.exists()


@pytest.mark.parametrize(
    ("score", "words"), [("6", "goes from 1 to 5"), ("2.55", "in steps of 0.1"), ("nan", "Enter a number")]
)
def test_scores_off_the_scale(client: Client, db: None, score: str, words: str) -> None:
    unit = unit_of(study("mos", editors=1))
    response = send(client, unit, {f"quality-{uids(unit)[0]}": score})
    assert words in body(response)
    assert not Adjudication.objects.exists()


def test_one_bad_dimension_keeps_nothing_of_the_others(torn: Unit, alice: User) -> None:
    good = {"order": [[uid] for uid in uids(torn)]}
    broken: list[dict[str, Any]] = [{"order": [[uids(torn)[0]]]}, {"order": []}, {"scores": {}}]
    for bad in broken:
        with pytest.raises(ValidationError, match="every candidate has one place"):
            services.adjudicate(item=torn.item, answers={"quality": good, "alignment": bad}, note="", by=alice)
    with pytest.raises(ValidationError, match="does not ask for beauty"):
        services.adjudicate(item=torn.item, answers={"quality": good, "beauty": good}, note="", by=alice)
    with pytest.raises(ValidationError, match="one dimension"):
        services.adjudicate(item=torn.item, answers={}, note="", by=alice)


def test_nothing_is_decided_on_an_item_with_a_reference_answer(torn: Unit, alice: User) -> None:
    torn.item.units.update(purpose="gold")
    with pytest.raises(ValidationError, match="reference answer"):
        services.adjudicate(
            item=torn.item, answers={"quality": {"order": [[uid] for uid in uids(torn)]}}, note="", by=alice
        )


def test_engineers_who_may_not_change_the_study_may_not_decide(torn: Unit, bob: User) -> None:
    client = Client()
    client.force_login(bob)
    assert send(client, torn, quality(torn, 1, 2, 3)).status_code == 403
    assert not Adjudication.objects.exists()


def test_a_note_that_is_too_long(client: Client, torn: Unit) -> None:
    response = send(client, torn, quality(torn, 1, 2, 3), note="x" * 5001)
    assert "at most 5000 characters" in body(response)
    assert not Adjudication.objects.exists()
