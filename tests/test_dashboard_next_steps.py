"""What to do next: one case for every step, and what holds whatever the facts are."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.dashboard.next_steps import SHOWN, Facts, Place, steps

A, B = Place("Alpha", "/a", 3, have=1, need=5), Place("Beta", "/b", 1)
LISTS = (
    "failed",
    "proposals",
    "bare",
    "aside",
    "unasked",
    "short",
    "waiting",
    "unused",
    "unproven",
    "unexported",
    "unseen",
)
ORDER = (
    "failed",
    "import",
    "proposals",
    "generate",
    "aside",
    "study",
    "invite",
    "answers",
    "posttrain",
    "prove",
    "export",
    "categories",
)


def facts(datasets: int = 1, **more: Any) -> Facts:
    return Facts(import_href="/import", datasets=datasets, **more)


def test_it_works() -> None:
    found = steps(facts(bare=(A,), short=(B,)))
    assert [(step.key, step.href) for step in found] == [("generate", "/a"), ("invite", "/b")]
    assert found[0].text == "3 cases in “Alpha” have no candidates."
    assert found[0].action == "Make candidates"


def test_nothing_to_do() -> None:
    assert steps(facts()) == []


def test_an_empty_installation() -> None:
    (step,) = steps(facts(datasets=0))
    assert (step.key, step.text, step.href) == ("import", "There is no data set yet.", "/import")


@pytest.mark.parametrize(
    ("name", "place", "text"),
    [
        ("failed", A, "A job failed in the last day: “Alpha”."),
        ("proposals", A, "3 proposed instructions in “Alpha” wait for a person."),
        ("proposals", B, "1 proposed instruction in “Beta” waits for a person."),
        ("bare", B, "1 case in “Beta” has no candidate."),
        ("aside", A, "3 outputs in “Alpha” were set aside and nobody has looked at them."),
        ("aside", B, "1 output in “Beta” was set aside and nobody has looked at it."),
        ("unasked", A, "The candidates of “Alpha” are in no study."),
        ("short", A, "“Alpha” needs 5 annotators and has 1."),
        ("waiting", A, "“Alpha” waits for 3 more answers."),
        ("waiting", B, "“Beta” waits for 1 more answer."),
        ("unlabelled", A, "People have ranked edits in “Alpha”, and no training set has their rankings."),
        ("untrained", A, "“Alpha” has 3 ranked groups, and no reward model was trained on them."),
        ("untrained", B, "“Beta” has 1 ranked group, and no reward model was trained on it."),
        ("unused", A, "A reward model was trained on “Alpha”, and no editor was trained with a reward."),
        ("unproven", A, "Nobody has compared “Alpha” with its base yet, blind."),
        ("unexported", A, "“Alpha” is finished and was never exported."),
        ("unseen", A, "3 source images in “Alpha” have no category."),
        ("unseen", B, "1 source image in “Beta” has no category."),
    ],
)
def test_each_fact_is_one_sentence_with_a_link(name: str, place: Place, text: str) -> None:
    known: dict[str, Any] = {name: (place,)}
    (step,) = steps(facts(**known))
    assert (step.text, step.href) == (text, place.href)
    assert step.action


def test_other_places_are_counted() -> None:
    assert steps(facts(bare=(A, B)))[0].text == "3 cases in “Alpha” have no candidates (1 more like this)."
    assert steps(facts(bare=(A, B, B)))[0].text == "3 cases in “Alpha” have no candidates (2 more like this)."
    assert steps(facts(failed=(A, B)))[0].text == "2 jobs failed in the last day, the newest is “Alpha”."


def test_a_name_with_a_percent_sign() -> None:
    assert "“100%s %(n)d”" in steps(facts(unasked=(Place("100%s %(n)d", "/p"),)))[0].text


places = st.lists(st.builds(Place, st.text(max_size=8), st.just("/p"), st.integers(1, 9**9)), max_size=3).map(tuple)
all_facts = st.builds(
    Facts,
    import_href=st.just("/i"),
    datasets=st.integers(0, 3),
    **dict.fromkeys(LISTS, places),
)


@given(all_facts)
def test_the_order_is_stable_and_nothing_is_said_twice(known: Facts) -> None:
    found = steps(known)
    keys = [step.key for step in found]
    assert keys == sorted(set(keys), key=ORDER.index)
    assert len(found) <= SHOWN
    assert all(step.text and step.action and step.href for step in found)
    assert steps(known) == found


def without(known: Facts, name: str) -> Facts:
    change: dict[str, Any] = {name: ()}
    return dataclasses.replace(known, **change)


@given(all_facts, st.sampled_from(LISTS))
def test_doing_a_step_takes_it_away_and_leaves_the_others(known: Facts, done: str) -> None:
    before = [step.text for step in steps(known)]
    after = [step.text for step in steps(without(known, done))]
    gone = [text for text in before if text not in after]
    assert len(gone) <= 1
    assert [text for text in before if text in after] == after[: len(before) - len(gone)]
