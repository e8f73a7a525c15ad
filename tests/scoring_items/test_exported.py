"""Decisions in exports: columns of their own beside the annotators' figures, and a table of all of them."""

from typing import Any

import pytest
from django.db import connection

from annotation.models import Study, Unit
from scoring.export_tables import TABLES, Options
from scoring.reannotation import queries, services
from tests.scoring_items.make import annotators, give, study, torn_group, unit_of
from webapp.accounts.models import User


def rows(made: Study, table: str) -> list[dict[str, Any]]:
    names = [column.name for column in TABLES[table].columns]
    return [dict(zip(names, row, strict=True)) for row in TABLES[table].rows(made, Options())]


def uids(unit: Unit) -> list[str]:
    return [str(candidate.uid) for candidate in unit.item.candidates.order_by("pk")]


def test_a_ranking_has_the_decision_beside_its_pairs(alice: User) -> None:
    unit = torn_group(raters=3)  # mean ranks 2.33, 2.00, 1.67
    first, second, third = uids(unit)
    before = rows(unit.study, "pairs")
    assert {row["adjudicated"] for row in before} == {""}
    for order in ([[first], [second], [third]], [[first], [second, third]]):
        services.adjudicate(item=unit.item, answers={"quality": {"order": order}}, note="=1+1", by=alice)
    after = {(row["better"], row["worse"]): row["adjudicated"] for row in rows(unit.study, "pairs")}
    assert after == {(third, second): "tie", (third, first): "worse", (second, first): "worse"}
    assert [row | {"adjudicated": ""} for row in rows(unit.study, "pairs")] == before
    decided = rows(unit.study, "adjudications")
    assert {(row["candidate"], row["rank"]) for row in decided if row["stands"]} == {
        (first, 1),
        (second, 2.5),
        (third, 2.5),
    }
    assert sum(not row["stands"] for row in decided) == 3
    assert {row["decided_by"] for row in decided} == {f"a{alice.pk}"}
    assert "alice" not in str(decided)


def test_a_rating_has_the_decision_beside_its_mos(alice: User) -> None:
    made = study("mos", editors=1, raters=2)
    unit = unit_of(made)
    for user, score in zip(annotators(2), (1, 5), strict=True):
        give(unit, user, scores={"quality": score, "alignment": score, "preservation": 3})
    services.adjudicate(item=unit.item, answers={"quality": {"scores": {uids(unit)[0]: 4.5}}}, note="", by=alice)
    found = {row["dimension"]: (row["mos"], row["adjudicated"]) for row in rows(made, "mos")}
    assert found["quality"][1] == 4.5
    assert found["alignment"] == (found["quality"][0], None)  # the same ratings have the same mean, decided on or not
    (decided,) = rows(made, "adjudications")
    assert (decided["score"], decided["rank"], decided["stands"]) == (4.5, None, True)


def test_marks_of_one_item_are_read_by_the_item(db: None) -> None:
    """A plan that begins with the study would read all of its judgements for one group."""
    if connection.vendor != "sqlite":
        pytest.skip("plans of PostgreSQL depend on how many rows there are")
    unit = torn_group(raters=2)
    plan = queries.counted(unit.study, [unit.item_id], "quality").explain()
    assert "annotation_unit" in plan.split("\n")[0], plan
    assert "judgement_of_annotator" not in plan, plan
