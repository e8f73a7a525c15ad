"""Who judges what next: seeded, a permutation each time, and a fair mix of editors for everybody."""

import os
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.assign import (
    RANGES,
    WINDOW,
    Offer,
    arranged,
    choose,
    dimension_order,
    joining,
    places,
    ranges,
    seeded,
    shuffled,
)

ROOT = Path(__file__).resolve().parents[1]
names = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6, unique=True)
offers = st.lists(
    st.builds(
        Offer,
        unit=st.integers(1, 10**6),
        taken=st.integers(0, 5),
        editors=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=WINDOW,
    unique_by=lambda offer: offer.unit,
)
seen_counts = st.dictionaries(st.integers(0, 9), st.integers(0, 40))


def familiarity(offer: Offer, seen: dict[int, int]) -> float:
    return sum(seen.get(editor, 0) for editor in offer.editors) / max(1, len(offer.editors))


def test_it_works() -> None:
    known, new = Offer(1, 0, (1,)), Offer(2, 4, (2,))
    assert choose([known, new], {1: 3}, 7) is new
    assert sorted(shuffled([5, 6, 7], 7)) == [5, 6, 7]
    assert dimension_order(["a", "b", "c"], 1) == ["b", "c", "a"]


def test_the_same_seed_gives_the_same_order_in_another_process() -> None:
    """Python's own hash differs between processes; nothing here may depend on it."""
    code = "from annotation.assign import *; print(shuffled(range(23), 7, 'x', 3), seeded('a', 1).random())"
    command, told = [sys.executable, "-c", code], []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        told.append(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).stdout.strip())
    assert told == [f"{shuffled(range(23), 7, 'x', 3)} {seeded('a', 1).random()}"] * 2


def test_seeds_that_differ_in_one_part_give_different_orders() -> None:
    seeds = [(study, user, unit) for study in (1, 2) for user in (1, 2) for unit in (1, 2)]
    assert len({tuple(shuffled(range(23), *seed)) for seed in seeds}) == len(seeds)


@given(st.lists(st.integers(), max_size=23), st.integers())
def test_a_shuffle_is_a_permutation_and_leaves_its_input_alone(values: list[int], seed: int) -> None:
    before = list(values)
    assert sorted(shuffled(values, seed)) == sorted(values)
    assert values == before
    assert shuffled(values, seed) == shuffled(values, seed)


@given(names, st.integers(0, 1000))
def test_dimensions_are_rotated_and_each_comes_first_equally_often(dimensions: list[str], position: int) -> None:
    order = dimension_order(dimensions, position)
    turn = order.index(dimensions[0])
    assert order[turn:] + order[:turn] == dimensions
    firsts = [dimension_order(dimensions, position + step)[0] for step in range(len(dimensions))]
    assert sorted(firsts) == sorted(dimensions)


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to choose"):
        choose([], {}, 7)


@given(offers, seen_counts, st.integers())
def test_choose_takes_the_least_seen_editors_then_the_least_judged_unit(
    some: list[Offer], seen: dict[int, int], seed: int
) -> None:
    chosen = choose(some, seen, seed)
    assert chosen in some
    assert choose(some, seen, seed) is chosen
    assert (familiarity(chosen, seen), chosen.taken) == min((familiarity(offer, seen), offer.taken) for offer in some)


def test_equal_offers_are_chosen_by_chance() -> None:
    equal = [Offer(unit, 0, (1,)) for unit in range(6)]
    counts = Counter(choose(equal, {1: 9}, seed).unit for seed in range(1200))
    assert set(counts) == set(range(6))
    assert max(counts.values()) < 1.3 * min(counts.values())


def simulate(
    editors: list[int], annotators: int, turns: int, raters: int
) -> tuple[dict[int, Counter[int]], Counter[int]]:
    """Annotators take units (one for each entry of ``editors``) in turns, each from a random window of open units.

    Returns the editors that each annotator saw, and how many people had each unit.
    """
    taken: Counter[int] = Counter()
    seen: dict[int, Counter[int]] = defaultdict(Counter)
    had: dict[int, set[int]] = defaultdict(set)
    for turn in range(turns):
        for who in range(annotators):
            chance = seeded("window", who, turn)
            open_units = [unit for unit in range(len(editors)) if taken[unit] < raters and unit not in had[who]]
            window = chance.sample(open_units, min(WINDOW, len(open_units)))
            if window:
                some = [Offer(unit, taken[unit], (editors[unit],)) for unit in window]
                unit = choose(some, seen[who], who, turn).unit
                taken[unit] += 1
                had[who].add(unit)
                seen[who][editors[unit]] += 1
    return seen, taken


def test_many_annotators_get_an_even_mix_of_editors() -> None:
    """30 people, 6 editors, 180 units of 5 raters. A window that lacks an editor costs a turn at most."""
    editors = [unit % 6 for unit in range(180)]
    seen, taken = simulate(editors, annotators=30, turns=24, raters=5)
    for counts in seen.values():
        assert sum(counts.values()) == 24
        assert {counts[editor] for editor in range(6)} <= {3, 4, 5}
    assert sum(taken.values()) == 30 * 24


def test_a_common_editor_does_not_crowd_out_the_others() -> None:
    """Editor 0 made two thirds of the candidates. Drawn blindly, it would fill two thirds of everybody's work."""
    editors = [0] * 120 + [1, 2, 3] * 20
    seen, _taken = simulate(editors, annotators=12, turns=20, raters=5)
    for counts in seen.values():
        assert max(counts.values()) <= 1.5 * min(counts[editor] for editor in range(4))


def test_units_fill_up_evenly() -> None:
    _seen, taken = simulate([0] * 60, annotators=20, turns=6, raters=5)
    assert sum(taken.values()) == 120
    assert max(taken.values()) <= 3


def test_places_and_sides_are_balanced_over_annotators() -> None:
    first = Counter(shuffled(range(6), 7, user, 1)[0] for user in range(1200))
    assert max(first.values()) < 1.3 * min(first.values())
    left = sum(shuffled((1, 2), 7, user, unit)[0] == 1 for user in range(50) for unit in range(40))
    assert 0.46 < left / 2000 < 0.54


# Ranges of quality --------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.integers(1, 10**6), st.floats(0, 1), max_size=60))
def test_ranges_are_equal_parts_in_the_order_of_quality(quality: dict[int, float]) -> None:
    found = ranges(quality)
    assert set(found) == set(quality)
    counts = Counter(found.values())
    assert max(counts.values(), default=0) - min((counts[part] for part in range(RANGES)), default=0) <= 1
    for one, value in quality.items():
        assert all(found[one] <= found[other] for other, more in quality.items() if value < more - 1e-5)


def test_items_of_equal_quality_are_parted_by_chance_that_stays() -> None:
    """Half of all ratings may be one and the same score: a range of half of the items would hold nobody back."""
    alike = ranges(dict.fromkeys(range(30), 0.75))
    assert sorted(Counter(alike.values()).values()) == [10, 10, 10]
    assert alike == ranges(dict.fromkeys(reversed(range(30)), 0.75))


def test_the_range_seen_least_comes_next_and_an_unknown_one_is_neither_drawn_nor_put_off() -> None:
    low, high, unknown = (Offer(unit, 0, (1,), range=part) for unit, part in ((1, 0), (2, 2), (3, None)))
    assert choose([low, high, unknown], {}, 7, had={0: 5, 1: 2, 2: 2}) is high
    assert choose([low, unknown], {}, 7, had={0: 5, 1: 2, 2: 2}) is unknown
    assert choose([high, unknown], {}, 7, had={0: 5, 1: 2, 2: 2}) is high


def test_editors_and_ranges_weigh_the_same() -> None:
    new_editor, new_range = Offer(1, 0, (1,), range=0), Offer(2, 0, (2,), range=1)
    assert choose([new_editor, new_range], {2: 3}, 7, had={0: 2}) is new_editor
    assert choose([new_editor, new_range], {2: 2}, 7, had={0: 3}) is new_range


def test_of_units_that_want_more_people_the_part_that_is_missing_counts() -> None:
    """4 of 15 is less than 2 of 5."""
    assert choose([Offer(1, 2, (1,), target=5), Offer(2, 4, (1,), target=15)], {}, 7).unit == 2


# What hangs together ------------------------------------------------------------------------------------------------


def test_a_unit_that_joins_two_parts_goes_first() -> None:
    joins, fresh = Offer(1, 3, (1,), joins=True), Offer(2, 0, (2,))
    assert choose([joins, fresh], {1: 9}, 7) is joins


def test_units_of_people_whom_i_share_nothing_with_join() -> None:
    me = 1
    shared = {10: {me, 2}, 11: {2, 3}, 12: {3}, 13: {4}, 14: {4, 5}, 15: set(), 16: {me, 6}}
    assert joining(me, {unit: set(people) for unit, people in shared.items()}) == {13, 14}


@given(st.dictionaries(st.integers(0, 30), st.sets(st.integers(0, 8), max_size=4), max_size=20), st.integers(0, 8))
def test_no_unit_that_joins_is_overlooked(shared: dict[int, set[int]], me: int) -> None:
    """By brute force: whom I reach by steps over shared units."""
    reached, before = {me}, set[int]()
    while reached != before:
        before = set(reached)
        reached = reached.union(*(people for people in shared.values() if people & reached))
    expected = {unit for unit, people in shared.items() if me not in people and people - reached}
    assert joining(me, {unit: set(people) for unit, people in shared.items()}) == expected


# What where ---------------------------------------------------------------------------------------------------------


def squares(orders: list[list[int]], editors: dict[int, int]) -> int:
    return sum(n * n for n in places(orders, editors).values()) + sum(n * n for n in places(orders).values())


@given(st.lists(st.permutations([1, 2, 3, 4]), max_size=6), st.integers())
def test_an_order_is_a_permutation_that_makes_places_most_even(past: list[list[int]], seed: int) -> None:
    editors = {1: 1, 2: 1, 3: 2, 4: 3}
    order = arranged([1, 2, 3, 4], editors, places(past, editors), places(past), seed)
    assert sorted(order) == [1, 2, 3, 4]
    assert order == arranged([1, 2, 3, 4], editors, places(past, editors), places(past), seed)
    best = min(squares([*past, list(other)], editors) for other in permutations([1, 2, 3, 4]))
    assert squares([*past, order], editors) == best


def test_sides_change_for_an_annotator_and_over_all_of_them() -> None:
    editors = {1: 10, 2: 20}
    assert arranged([1, 2], editors, {(10, 0): 3, (20, 1): 3, (10, 1): 1, (20, 0): 1}, {}, 7) == [2, 1]
    assert arranged([1, 2], editors, {}, {(1, 0): 3, (2, 1): 3}, 7) == [2, 1]
    first = Counter(arranged([1, 2], editors, {}, {}, seed)[0] for seed in range(1000))
    assert 450 < first[1] < 550
    assert arranged([5], {5: 1}, {}, {}) == [5]


def test_places_that_are_even_are_drawn_by_chance() -> None:
    orders = {tuple(arranged([1, 2, 3], {1: 1, 2: 2, 3: 3}, {}, {}, seed)) for seed in range(100)}
    assert orders == set(permutations([1, 2, 3]))
