"""Splits by source image: none in two, groups whole, parts and tasks as well as can be, repeatable."""

from collections import Counter, defaultdict
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.curation.splits import Piece, split_sources

FRACTIONS = {"train": 0.8, "dev": 0.1, "test": 0.1}
TASKS = ["add", "remove", "swap", "style"]
pieces_of_cases = st.lists(
    st.builds(Piece, source=st.integers(0, 25).map(lambda n: f"s{n:02}"), task=st.sampled_from(TASKS)), max_size=80
)
parts = (
    st.lists(st.integers(0, 5), min_size=4, max_size=4)
    .filter(any)
    .map(lambda found: dict(zip(("train", "dev", "test", "bench"), (part / sum(found) for part in found), strict=True)))
)
tied = st.dictionaries(st.integers(0, 25).map(lambda n: f"s{n:02}"), st.integers(0, 5)).map(
    lambda found: [{source for source in found if found[source] == group} for group in range(6)]
)


def one_case_each(count: int, tasks: list[str] = TASKS) -> list[Piece]:
    return [Piece(f"s{number:04}", tasks[number % len(tasks)]) for number in range(count)]


def test_it_works() -> None:
    found = split_sources(one_case_each(400), FRACTIONS, seed=3)
    assert Counter(found.values()) == {"train": 320, "dev": 40, "test": 40}
    for task in TASKS:
        sources = [piece.source for piece in one_case_each(400) if piece.task == task]
        assert Counter(found[source] for source in sources) == {"train": 80, "dev": 10, "test": 10}


@given(pieces_of_cases, parts, st.integers(0, 99), tied, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_every_source_once_groups_whole_and_the_same_for_the_same_seed(
    pieces: list[Piece], fractions: dict[str, float], seed: int, groups: list[set[str]], chance: "object"
) -> None:
    found = split_sources(pieces, fractions, seed, groups)
    assert set(found) == {piece.source for piece in pieces}
    assert all(fractions[split] > 0 for split in found.values())
    for group in groups:
        assert len({found[source] for source in group if source in found}) <= 1
    mixed = list(pieces)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert split_sources(mixed, fractions, seed, groups[::-1]) == found


@given(st.integers(0, 60), st.lists(st.integers(1, 6), min_size=3, max_size=3), st.integers(0, 99))
def test_cases_of_one_task_are_apportioned_within_one_of_their_quota(count: int, weights: list[int], seed: int) -> None:
    """Sainte-Laguë's rule stays within its quota for three parties."""
    fractions = {str(n): weight / sum(weights) for n, weight in enumerate(weights)}
    got = Counter(split_sources(one_case_each(count, ["add"]), fractions, seed).values())
    assert sum(got.values()) == count
    assert all(abs(got[split] - part * count) < 1 + 1e-9 for split, part in fractions.items())


@given(pieces_of_cases.filter(lambda pieces: len(pieces) > 40), st.integers(0, 20))
@settings(deadline=None)
def test_the_whole_is_divided_within_the_largest_source(pieces: list[Piece], seed: int) -> None:
    found = split_sources(pieces, FRACTIONS, seed)
    largest = max(Counter(piece.source for piece in pieces).values())
    got = Counter(found[piece.source] for piece in pieces)
    for split, part in FRACTIONS.items():
        assert abs(got[split] - part * len(pieces)) <= 2 * largest


def spread(found: dict[str, str], pieces: list[Piece]) -> float:
    """How far the cases of every task are from their parts: squared distance by wanted number, summed."""
    got: dict[tuple[str, str], int] = defaultdict(int)
    tasks = Counter(piece.task for piece in pieces)
    for piece in pieces:
        got[piece.task, found[piece.source]] += 1
    wanted = {(task, split): FRACTIONS[split] * tasks[task] for task, split in product(tasks, FRACTIONS)}
    return sum((got[cell] - want) ** 2 / want for cell, want in wanted.items())


@given(pieces_of_cases.filter(lambda pieces: len(pieces) > 40), st.integers(0, 20))
@settings(deadline=None, max_examples=40)
def test_tasks_are_divided_better_than_by_chance(pieces: list[Piece], seed: int) -> None:
    """Against the mean of random splits of the same sizes."""
    import random

    found = split_sources(pieces, FRACTIONS, seed)
    chance, sources, splits = random.Random(seed), sorted(found), sorted(found.values())
    others = []
    for _turn in range(30):
        chance.shuffle(splits)
        others.append(spread(dict(zip(sources, splits, strict=True)), pieces))
    assert spread(found, pieces) <= sum(others) / len(others) + 1e-9


def test_another_seed_splits_otherwise() -> None:
    assert split_sources(one_case_each(50), FRACTIONS, 1) != split_sources(one_case_each(50), FRACTIONS, 2)


@pytest.mark.parametrize("fractions", [{"train": 0.5, "test": 0.4}, {"train": 1.2, "test": -0.2}, {}])
def test_fractions_that_are_none(fractions: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        split_sources(one_case_each(3), fractions, 0)


def test_a_source_in_two_groups() -> None:
    with pytest.raises(ValueError, match="two groups"):
        split_sources(one_case_each(3), FRACTIONS, 0, [["s0000", "s0001"], ["s0001", "s0002"]])
