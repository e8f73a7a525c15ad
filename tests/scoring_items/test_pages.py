"""Lists of items, the page of one item, and that of one judgement."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import (
    Check,
    Concern,
    Event,
    Exclusion,
    Item,
    Judgement,
    Study,
    Unit,
)
from tests.scoring_items.make import DOWN, UP, annotators, contested_group, give, study, torn_group, unit_of
from webapp.accounts.models import User

THREE = {"quality": 4, "alignment": 3, "preservation": 2}


@pytest.fixture
def client(alice: User) -> Client:
    found = Client()
    found.force_login(alice)
    return found


def text(client: Client, name: str, uid: Any, query: str = "") -> str:
    response = client.get(reverse(name, args=[uid]) + query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def cells(page: str, row: str) -> list[str]:
    """The numbers of the table row that begins with this heading."""
    after = page.split(row, 1)[1].split("</tr>", 1)[0]
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r'<td class="num">(.*?)</td>', after)]


# Rating ---------------------------------------------------------------------------------------------------------------


def test_the_page_of_a_rated_item_works(client: Client) -> None:
    made = study("mos", editors=1, raters=3)
    unit = unit_of(made)
    people = annotators(3)
    for user, quality in zip(people, (2, 3, 5), strict=True):
        given = give(unit, user, scores=THREE | {"quality": quality}, remark=f"Remark {quality}", flag="no_edit")
    Check.objects.create(judgement=given, kind="repeat", passed=False)
    Concern.objects.create(study=made, annotator=people[0], kind="speed", words="Very fast.")
    page = text(client, "item", unit.item.uid)
    mos, interval, _std, ratings, agreement, decided = cells(page, "Visual quality ")
    assert (mos, ratings, decided) == ("3.33", "3", "–")
    assert interval == "-0.46 – 7.13"  # 3.333 ± 4.303 · 1.528/√3
    assert agreement.split()[0] == "0.00"  # the pairs are 1, 2 and 3 apart, 2 on average: half of the scale
    assert "low" in agreement
    assert [f"Remark {n}" in page for n in (2, 3, 5)] == [True] * 3
    assert "Repeated item: failed" in page
    assert "Answers in very little time: Waits for a decision" in page
    assert all(f"a{user.pk}" in page and user.username not in page for user in people)
    assert reverse("judgement", args=[given.uid]) in page
    assert "Editor 0" in page


def test_what_does_not_count_is_shown_and_said(client: Client) -> None:
    made = study("mos", editors=1, raters=5)
    late, excused, excluded, fine, repeating = annotators(5)
    unit = unit_of(made)
    give(unit, late, scores=THREE, is_extra=True)
    give(unit, excused, scores=THREE, flag="cannot_judge")
    give(unit, excluded, scores=THREE)
    give(unit, fine, scores=THREE)
    Exclusion.objects.create(study=made, annotator=excluded, reason="Clicks.")
    hidden = Unit.objects.create(study=made, item=unit.item, round=2, purpose="repeat", target=1, shuffle=0.5)
    give(hidden, repeating, scores=THREE)
    page = text(client, "item", unit.item.uid)
    assert cells(page, "Visual quality ")[3] == "1"
    for words in ("extra: late", "Cannot judge", "annotator excluded", "Repeat of an item"):
        assert f'<span class="badge warn">{words}</span>' in page


def test_an_item_that_nobody_judged(client: Client) -> None:
    made = study("mos", editors=1)
    page = text(client, "item", made.items.get().uid)
    assert "Nobody has judged this yet." in page
    assert cells(page, "Visual quality ") == ["–", "–", "–", "0", "–", "–"]


# Groups ---------------------------------------------------------------------------------------------------------------


def test_the_page_of_a_group_has_the_matrix_the_means_and_the_pairs(client: Client) -> None:
    unit = torn_group(raters=3)  # DOWN, UP, DOWN
    page = text(client, "item", unit.item.uid)
    quality = page.split('id="ranks-quality"', 1)[1].split("</section>", 1)[0]
    assert cells(quality, "Mean rank") == ["1.67", "2.00", "2.33"]
    first, second, third = (f"a{judgement.annotator_id}</a>" for judgement in unit.judgements.order_by("pk"))
    assert [cells(quality, name) for name in (first, second, third)] == [
        ["1", "2", "3"],
        ["3", "2", "1"],
        ["1", "2", "3"],
    ]
    assert '<strong class="num">0.111</strong>' in quality  # W of rank sums 5, 6, 7
    assert '<strong class="num">-0.333</strong>' in quality  # τ-b of 1, -1, -1
    assert "3 pairs with their gaps" in quality
    assert quality.count('<td class="num">0.33</td>') == 2
    assert quality.count('<td class="num">0.67</td>') == 1
    assert '<span class="badge warn">low</span>' in quality
    assert page.count("Nobody has judged this yet.") == 2  # the other dimensions


def test_controls_are_marked_and_have_no_mean_rank(client: Client) -> None:
    unit = torn_group(raters=3)
    control = unit.item.candidates.order_by("pk")[0]
    type(control).everything.filter(pk=control.pk).update(control="source")
    page = text(client, "item", unit.item.uid)
    assert '<span class="badge info">control</span>' in page
    quality = page.split('id="ranks-quality"', 1)[1].split("</section>", 1)[0]
    assert cells(quality, "Mean rank")[2] == "–"
    assert "the untouched source" in quality
    assert "1 pair with its gap" in quality


def test_simulated_annotators_are_labelled(client: Client) -> None:
    made = study("mos", editors=1, raters=1)
    Study.objects.filter(pk=made.pk).update(is_simulated=True)
    program = User.objects.create(username="simulated-7", is_simulated=True, is_active=False, role="annotator")
    given = give(unit_of(made), program, scores=THREE)
    for name, uid in (("item", unit_of(made).item.uid), ("judgement", given.uid), ("items", made.uid),
                      ("contested", made.uid), ("adjudicate", unit_of(made).item.uid)):  # fmt: skip
        page = text(client, name, uid)
        assert "Simulated annotators: these judgements were made by a program" in page
    assert f"simulated-{program.pk}" in text(client, "item", unit_of(made).item.uid)


# One judgement --------------------------------------------------------------------------------------------------------


def test_a_judgement_has_its_whole_history_a_page_at_a_time(client: Client) -> None:
    unit = torn_group(raters=1)
    judgement = unit.judgements.get()
    for number in range(105):
        Event.objects.create(
            assignment=judgement.assignment,
            key=f"{number:032x}",
            seq=number,
            kind="place",
            data={"letter": "A", "n": number},
        )
    page = text(client, "judgement", judgement.uid)
    assert "submitted" in page
    assert "&quot;n&quot;: 98}" in page
    assert "&quot;n&quot;: 99}" not in page
    following = page.split('rel="next" href="', 1)[1].split('"', 1)[0]
    assert "&quot;n&quot;: 104}" in text(client, "judgement", judgement.uid, following)


def test_a_judgement_says_what_was_shown_as_which_letter(client: Client) -> None:
    unit = torn_group(raters=1)
    page = text(client, "judgement", unit.judgements.get().uid)
    editors = [candidate.editor.name for candidate in unit.item.candidates.order_by("pk")]
    shown = page.split("Shown as", 1)[1].split("</dd>", 1)[0]
    assert [letter in shown and name in shown for letter, name in zip("ABC", editors, strict=True)] == [True] * 3


# Lists ----------------------------------------------------------------------------------------------------------------


def test_the_list_of_contested_items(client: Client) -> None:
    assert "Nothing contested" in text(client, "contested", study().uid)
    unit = contested_group()
    page = text(client, "contested", unit.study.uid)
    assert reverse("item", args=[unit.item.uid]) in page
    assert reverse("adjudicate", args=[unit.item.uid]) in page
    assert ">0.11<" in page
    assert "Editor 0" not in page


def test_only_who_may_change_the_study_is_offered_a_decision(bob: User) -> None:
    unit = contested_group()
    client = Client()
    client.force_login(bob)
    assert reverse("adjudicate", args=[unit.item.uid]) not in text(client, "contested", unit.study.uid)
    assert reverse("adjudicate", args=[unit.item.uid]) not in text(client, "item", unit.item.uid)


def test_items_are_found_by_candidate_and_by_case(client: Client) -> None:
    made = study(cases=2)
    first, second = made.items.order_by("pk")
    candidate = second.candidates.all()[0]
    for query in (f"?candidate={candidate.uid}", f"?case={second.case.uid}"):
        page = text(client, "items", made.uid, query)
        assert reverse("item", args=[second.uid]) in page
        assert reverse("item", args=[first.uid]) not in page
    everything = text(client, "items", made.uid, "?candidate=nonsense")
    assert reverse("item", args=[first.uid]) in everything


def test_a_case_that_no_item_has(client: Client) -> None:
    made, other = study(), study()
    assert "No items here" in text(client, "items", made.uid, f"?case={other.items.get().case.uid}")


@pytest.mark.parametrize("name", ["items", "contested"])
def test_lists_cost_the_same_however_long_they_are(client: Client, name: str) -> None:
    made = study("group-rank", cases=30, raters=2, extra_raters=0)
    pair = annotators(2)
    url = reverse(name, args=[made.uid])

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(url).status_code == 200
        return len(seen)

    Item.objects.filter(pk=made.items.order_by("pk")[0].pk).update(is_contested=True)
    few = queries()
    for place in range(30):
        unit = unit_of(made, "quality", place)
        for order, user in zip((UP, DOWN), pair, strict=True):
            give(unit, user, order=order)
    Item.objects.update(is_contested=True)
    many = queries()
    assert many <= few <= 14
    response = client.get(url)
    assert len(response.context["rows"]) == 20
    assert response.context["page"].next


def test_the_page_of_an_item_costs_the_same_with_many_judgements(client: Client) -> None:
    unit = torn_group(raters=2)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(reverse("item", args=[unit.item.uid])).status_code == 200
        return len(seen)

    few = queries()
    Unit.objects.filter(pk=unit.pk).update(target=60)
    for user in annotators(55):
        give(unit, user, order=UP)
    assert queries() <= few <= 22
    assert Judgement.objects.count() == 57
    assert len(client.get(reverse("item", args=[unit.item.uid])).context["rows"]) == 50
