"""Whether a study hangs together: the figure, the warnings, and where they stand."""

from typing import Any

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from annotation.models import Study
from scoring import connections
from scoring.connections import FEW, NAMED, SHOWN, measured, shown
from tests import judging
from tests.judging import judge, member_of, rated
from tests.test_assign_leases import give
from webapp.accounts.models import User

SCORE = rated({"overall": 3})


def of(edges: list[tuple[str, int]]) -> connections.Connections:
    return shown(measured(sorted(edges))[0])


def page(found: connections.Connections) -> str:
    return render_to_string("studies/connections.html", {"connections": found})


def test_it_works() -> None:
    found = of([("a1", 1), ("a1", 2), ("a2", 2), ("a2", 3), ("a3", 3)])
    assert found.is_connected
    assert (found.names, found.items, found.judged, found.company) == (["a1", "a2", "a3"], 3, [2, 2, 1], [1, 2, 1])
    assert found.shared == [[2, 1, 0], [1, 2, 1], [0, 1, 1]]
    assert found.warnings == []
    assert "one part" in page(found)


def test_parts_are_named_the_largest_first() -> None:
    found = of([("a1", 1), ("a2", 2), ("a3", 2), ("a4", 2), ("a2", 3)])
    assert [(part.annotators, part.items) for part in found.parts] == [(["a2", "a3", "a4"], 2), (["a1"], 1)]
    assert found.names == ["a2", "a3", "a4", "a1"]
    head, apart = found.warnings
    assert "fall into 2 parts" in head
    assert "a1 (items: 1; cases: " in apart
    assert "2 parts" in page(found)


def test_items_of_one_annotator_each_are_said_to_be_incomparable() -> None:
    found = of([("a1", 1), ("a2", 2)])
    (warning,) = found.warnings
    assert "No item has been judged by two people" in warning


def test_an_annotator_who_hardly_meets_others_is_named() -> None:
    edges = [("a1", item) for item in range(20)] + [("a2", item) for item in range(20)]
    lonely = [("a3", item) for item in range(18, 30)]
    assert of(edges).warnings == []
    assert of([*edges, *lonely]).warnings == [
        f"Fewer than {FEW} items shared with others: a3. Their bias is hardly known yet."
    ]
    assert of([*edges, ("a3", 18)]).warnings == [], "who has just begun is not blamed"


def test_nobody_and_one_alone_have_no_figure() -> None:
    for found in (of([]), of([("a1", 1), ("a1", 2)])):
        assert not found.is_known
        assert found.is_connected
        assert found.warnings == []
        assert "<section" not in page(found)


def test_long_lists_are_cut_and_say_so() -> None:
    found = of([(f"a{n:02}", 0) for n in range(30)] + [(f"b{n:02}", 1) for n in range(NAMED + 3)])
    assert len(found.shared) == SHOWN < len(found.names)
    assert "b07, …" in found.warnings[1]
    assert "b08" not in found.warnings[1]
    assert f"The first {SHOWN} annotators are shown." in page(found)


@given(st.sets(st.tuples(st.integers(0, 9).map("a{}".format), st.integers(0, 15)), max_size=60))
def test_parts_are_those_of_a_search(edges: set[tuple[str, int]]) -> None:
    found, parts = of(sorted(edges)), []
    left = {name for name, _item in edges}
    while left:
        people, before = {min(left)}, set[str]()
        while people != before:
            before, items = set(people), {item for name, item in edges if name in people}
            people = {name for name, item in edges if item in items}
        parts.append((sorted(people), len({item for name, item in edges if name in people})))
        left -= people
    assert sorted((sorted(part.annotators), part.items) for part in found.parts) == sorted(parts)
    assert sum(found.judged) == len(edges)


# A study ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def apart(carol: User, mallory: User, bob: User) -> Study:
    """Carol and Bob judge the first case, Mallory the second."""
    study = judging.study(judging.dataset(cases=2, editors=2), "hp-score", (carol, mallory, bob))
    for unit in study.units.order_by("pk"):
        for user in (carol, bob) if unit.item.case.key == "case-000" else (mallory,):
            give(member_of(study, user), unit, 3)
    return study


def test_a_study_that_falls_apart_names_the_cases(apart: Study, mallory: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        found = connections.of_study(apart)
    assert not found.is_connected
    assert found.parts[1].annotators == [f"a{mallory.pk}"]
    assert found.parts[1].cases == ["case-001"]
    assert "cases: case-001" in found.warnings[1]
    assert shown(connections.compute(apart)) == found


def test_what_does_not_count_links_nothing(apart: Study, carol: User, mallory: User) -> None:
    give(member_of(apart, mallory), apart.units.order_by("pk")[0], 3)
    assert connections.of_study(apart).is_connected
    apart.judgements.filter(annotator=mallory, unit__item__case__key="case-000").update(is_extra=True)
    assert not connections.of_study(apart).is_connected
    apart.exclusions.create(annotator=mallory, reason="Guessed.")
    found = connections.of_study(apart)
    assert found.is_connected
    assert len(found.names) == 2


def test_a_study_as_it_is_given_out_hangs_together(db: None, carol: User, mallory: User, bob: User) -> None:
    study = judging.study(judging.dataset(cases=6, editors=3), "hp-score", (carol, mallory, bob))
    for user in (carol, mallory, bob):
        judge(study, user, lambda _row: SCORE, limit=6)
    assert connections.of_study(study).is_connected
