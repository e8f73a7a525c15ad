"""The balancing draw: never over the supply or the target, max-min fair, repeatable, honest about what is missing."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.curation import balance
from annotation.curation.balance import (
    HP_EDIT,
    HP_EDIT_BENCH,
    UNCATEGORISED,
    Row,
    allocate,
    draw,
    even_targets,
    fill,
    scaled,
    shortages,
    supply_of,
)

TASKS, NAMES = ["add", "remove", "swap"], [UNCATEGORISED, "cat", "dog", "cup", "car"]
rows_of_cases = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(TASKS), st.integers(0, 5)), max_size=60).map(
    lambda found: [Row(f"case-{n:03}", name, task, f"{name}{source}") for n, (name, task, source) in enumerate(found)]
)
targets_of_tasks = st.dictionaries(st.sampled_from(TASKS), st.integers(0, 30), min_size=1)
shares = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])
supplies = st.dictionaries(st.sampled_from(NAMES[1:] + list("abcdef")), st.integers(0, 12), max_size=8)


def rows(**cells: int) -> list[Row]:
    """cat=3: three cases of the task "add" in the category "cat"; a picture of its own for each."""
    return [
        Row(f"{name}-{number}", "" if name == "none" else name, "add", f"{name}-{number}")
        for name, count in cells.items()
        for number in range(count)
    ]


def test_it_works() -> None:
    cases = rows(cat=100, dog=20, cup=3, none=50)
    supply = supply_of(cases)
    assert supply == {"add": {"cat": 100, "dog": 20, "cup": 3, "": 50}}
    plan = allocate(supply, {"add": 33}, share=0.2, seed=1)
    assert plan == {"add": {"cat": 15, "dog": 15, "cup": 3, "": 0}}
    assert shortages(supply, {"add": 33}, plan) == []
    chosen = draw(cases, plan, seed=1)
    assert Counter(key.split("-")[0] for key in chosen) == {"cat": 15, "dog": 15, "cup": 3}


def test_uncategorised_cases_fill_what_is_missing_up_to_their_share() -> None:
    supply = {"add": {"cat": 5, "": 500}}
    assert allocate(supply, {"add": 100}, 0.2, 0)["add"] == {"cat": 5, "": 20}
    [short] = shortages(supply, {"add": 100}, allocate(supply, {"add": 100}, 0.2, 0))
    assert (short.task, short.target, short.drawn, short.missing, short.left_out) == ("add", 100, 25, 75, 480)
    assert allocate(supply, {"add": 100}, 1.0, 0)["add"] == {"cat": 5, "": 95}
    assert allocate(supply, {"add": 100}, 0.0, 0)["add"] == {"cat": 5, "": 0}


def test_a_task_that_is_not_there_is_a_shortage() -> None:
    plan = allocate({}, {"style": 7}, 0.5, 0)
    assert plan == {"style": {"": 0}}
    assert [short.missing for short in shortages({}, {"style": 7}, plan)] == [7]


def test_table_s6() -> None:
    """The sums of the table's columns, and HP-Edit's eight tasks."""
    assert sum(HP_EDIT.values()) == 55795
    assert sum(HP_EDIT_BENCH.values()) == 1638
    assert set(HP_EDIT) == set(HP_EDIT_BENCH) == {
        "add", "remove", "swap", "color", "background", "bokeh", "relight", "style"
    }  # fmt: skip


@given(rows_of_cases, targets_of_tasks, shares, st.integers(0, 99))
@settings(deadline=None)
def test_never_over_the_supply_the_target_or_the_share(
    cases: list[Row], targets: dict[str, int], share: float, seed: int
) -> None:
    supply = supply_of(cases)
    plan = allocate(supply, targets, share, seed)
    assert set(plan) == set(targets)
    for task, cells in plan.items():
        there = supply.get(task, {})
        named = sum(count for name, count in there.items() if name)
        assert all(0 <= count <= there.get(name, 0) for name, count in cells.items())
        assert sum(cells.values()) <= targets[task]
        assert sum(count for name, count in cells.items() if name) == min(named, targets[task])
        assert cells[UNCATEGORISED] <= share * targets[task] + 1e-9
    left = {short.task: short.missing for short in shortages(supply, targets, plan)}
    assert left == {task: targets[task] - sum(cells.values()) for task, cells in plan.items()
                    if sum(cells.values()) < targets[task]}  # fmt: skip


@given(supplies, st.integers(0, 60), st.integers(0, 99))
def test_fill_is_max_min_fair(supply: dict[str, int], target: int, seed: int) -> None:
    """Whoever has more than a neighbour by two or more could only have got it because the neighbour has no more."""
    given_out = fill(supply, target, seed)
    assert sum(given_out.values()) == min(target, sum(supply.values()))
    for one, other in product(given_out, repeat=2):
        assert given_out[one] <= given_out[other] + 1 or given_out[other] == supply[other]


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 4), min_size=1), st.integers(0, 12))
def test_fill_is_as_even_as_any_other_way(supply: dict[str, int], target: int) -> None:
    """By brute force over all ways to give out as much: the sorted counts are the largest from the smallest up."""
    names = sorted(supply)
    whole = min(target, sum(supply.values()))
    ways = [way for way in product(*(range(supply[name] + 1) for name in names)) if sum(way) == whole]
    assert sorted(fill(supply, target, 0).values()) == max(sorted(way) for way in ways)


@given(rows_of_cases, targets_of_tasks, st.integers(0, 99), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_same_seed_draws_the_same_cases_in_whatever_order_they_come(
    cases: list[Row], targets: dict[str, int], seed: int, chance: "object"
) -> None:
    plan = allocate(supply_of(cases), targets, 0.5, seed)
    mixed = list(cases)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert allocate(supply_of(mixed), targets, 0.5, seed) == plan
    chosen = draw(cases, plan, seed)
    assert draw(mixed, plan, seed) == chosen
    assert len(set(chosen)) == len(chosen)
    assert {task: {name: count for name, count in cells.items() if count} for task, cells in plan.items()} == {
        task: supply_of(row for row in cases if row.case in set(chosen)).get(task, {}) for task in plan
    }


def test_another_seed_draws_others() -> None:
    cases = rows(cat=50)
    plan = {"add": {"cat": 10}}
    assert draw(cases, plan, 1) != draw(cases, plan, 2)
    lots = {tuple(fill(dict.fromkeys("abcdef", 9), 20, seed).items()) for seed in range(20)}
    assert len(lots) > 1  # who gets what is over a whole level goes by lot


@given(rows_of_cases, st.integers(0, 20), st.integers(0, 99))
@settings(deadline=None)
def test_a_cell_is_spread_over_its_source_images(cases: list[Row], count: int, seed: int) -> None:
    cell = [row for row in cases if (row.task, row.category) == ("add", "cat")]
    chosen = set(draw(cases, {"add": {"cat": min(count, len(cell))}}, seed))
    used = Counter(row.source for row in cell if row.case in chosen)
    there = Counter(row.source for row in cell)
    for one, other in product(there, repeat=2):
        assert used[one] <= used[other] + 1 or used[other] == there[other]


@given(targets_of_tasks, st.integers(0, 500))
def test_scaled_targets_keep_the_total_and_the_proportion(targets: dict[str, int], total: int) -> None:
    found, whole = scaled(targets, total), sum(targets.values())
    if not whole:
        assert set(found.values()) == {0}
        return
    assert sum(found.values()) == total
    assert all(abs(found[task] - total * count / whole) < 1 for task, count in targets.items())


def test_even_targets() -> None:
    supply = {"add": {"cat": 5, "": 4}, "swap": {"dog": 3}, "style": {}}
    assert even_targets(supply) == {"add": 3, "swap": 3}
    assert even_targets(supply, 11) == {"add": 6, "swap": 5}
    assert even_targets({}) == {}


@pytest.mark.parametrize(("targets", "share"), [({"add": 1}, 1.2), ({"add": 1}, -0.1), ({"add": -1}, 0.5)])
def test_what_cannot_be_allocated(targets: dict[str, int], share: float) -> None:
    with pytest.raises(ValueError, match="share is 0 to 1"):
        allocate({}, targets, share, 0)


def test_a_plan_that_the_cases_do_not_carry() -> None:
    with pytest.raises(ValueError, match="3 of 2 cases"):
        draw(rows(cat=2), {"add": {"cat": 3}}, 0)


def test_the_key_of_the_bucket_is_no_category() -> None:
    assert balance.UNCATEGORISED == ""
