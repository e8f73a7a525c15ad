"""Labels that are text: read by their signs, never by where a letter stands."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.rewards.compat import bench_pairs
from training.rewards.groups import pairs_of
from training.rewards.layouts import LayoutError
from training.rewards.layouts._reading import order_of
from training.rewards.reading import Line

LINE = Line({}, "a.json, entry 1")


def outcomes(label: str, letters: str) -> dict[tuple[int, int], int]:
    return {(pair.first, pair.second): pair.outcome for pair in pairs_of(order_of(label, letters, LINE), 1.0)}


def test_an_order_is_ranks() -> None:
    assert order_of("C>A>B", "ABC", LINE).ranks == (2, 3, 1)
    assert order_of(" a > b ", "AB", LINE).ranks == (1, 2)


@pytest.mark.parametrize("label", ["A=B", "B=A", "A=B=Good", "A=B=Bad"])
def test_a_tie_is_a_tie(label: str) -> None:
    """The released reader takes "A=B" for "A>B"."""
    assert outcomes(label, "AB") == {(0, 1): 0}
    assert bench_pairs("A=B", 2) == {"01": 1}


def test_both_bad_is_kept_apart_from_both_good() -> None:
    assert order_of("A=B=Bad", "AB", LINE).both_bad == frozenset({(0, 1)})
    assert order_of("A=B=Good", "AB", LINE).both_bad == frozenset()
    assert order_of("A=B", "AB", LINE).both_bad == frozenset()


def test_signs_may_point_to_the_left() -> None:
    assert order_of("A<B", "AB", LINE).ranks == (2, 1)
    assert order_of("A<B=C", "ABC", LINE).ranks == (3, 1.5, 1.5)


def test_ties_within_an_order_share_their_mean_rank() -> None:
    assert order_of("C>A=B>D", "ABCD", LINE).ranks == (2.5, 2.5, 1, 4)


@pytest.mark.parametrize(
    "label", ["", "A", "A>", "A>B>C", "A>A", "AB", "A>C", "A>B<C", "A>B=Bad", "A=Bad=B", "tie", "A≥B"]
)
def test_anything_else_is_refused_with_its_place(label: str) -> None:
    letters = "ABC" if "C" in label and "<" in label else "AB"
    with pytest.raises(LayoutError, match=r"a.json, entry 1: .* is no order of"):
        order_of(label, letters, LINE)


@given(st.permutations("ABCD"), st.lists(st.sampled_from("=>"), min_size=3, max_size=3))
def test_every_pair_of_an_order_is_what_its_signs_say(names: list[str], signs: list[str]) -> None:
    label = names[0] + "".join(sign + name for sign, name in zip(signs, names[1:], strict=True))
    level = {name: sum(sign == ">" for sign in signs[:place]) for place, name in enumerate(names)}
    found = outcomes(label, "ABCD")
    for one, other in permutations("ABCD", 2):
        if one < other:
            expected = (level[other] > level[one]) - (level[other] < level[one])
            assert found["ABCD".index(one), "ABCD".index(other)] == expected
