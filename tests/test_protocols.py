"""Judgement protocols: the presets, their scales, and what makes a protocol unusable."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.protocols import DUELS, KINDS, PRESET_LABELS, PRESETS, Dimension, Protocol, ProtocolError

ONE = Dimension("overall", "Overall", "How good?")


def test_it_works() -> None:
    mos = PRESETS["mos"]
    assert [d.key for d in mos.dimensions] == ["quality", "alignment", "preservation"]
    assert (mos.kind, mos.raters, mos.unit_dimensions) == ("rating", 5, ("",))
    assert mos.dimension("alignment").label == "Editing alignment"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    assert Protocol.from_json(json.loads(json.dumps(PRESETS[name].to_json()))) == PRESETS[name]


@pytest.mark.parametrize(
    ("name", "kind", "scale", "dimensions", "raters"),
    [
        ("hp-score", "rating", (0, 5, 1), 1, (5, 0)),
        ("mos", "rating", (1, 5, 0.1), 3, (5, 0)),
        ("likert4", "rating", (1, 4, 1), 2, (1, 0)),
        ("group-rank", "ranking", (0, 5, 1), 3, (3, 3)),
        ("pairwise", "pairwise", (0, 1, 1), 1, (1, 0)),
    ],
)
def test_presets_are_those_of_the_papers(
    name: str, kind: str, scale: tuple[float, ...], dimensions: int, raters: tuple[int, int]
) -> None:
    preset = PRESETS[name]
    assert (preset.kind, len(preset.dimensions)) == (kind, dimensions)
    assert (preset.raters, preset.extra_raters) == raters
    assert {(d.low, d.high, d.step) for d in preset.dimensions} == {scale}
    assert preset.agreement == 0.5
    assert preset.session_minutes <= 30  # ITU-R BT.500


def test_every_preset_has_a_label_and_anchors_on_its_scale() -> None:
    assert set(PRESET_LABELS) == set(PRESETS)
    for preset in PRESETS.values():
        for dimension in preset.dimensions:
            assert dimension.rubric
            assert all(dimension.allows(float(anchor)) for anchor in dimension.anchors)
    assert len(PRESETS["hp-score"].dimensions[0].anchors) == 6
    assert all(len(d.anchors) == 4 for d in PRESETS["likert4"].dimensions)


def test_only_preservation_shows_the_difference_by_default() -> None:
    shown = {d.key for preset in PRESETS.values() for d in preset.dimensions if d.difference}
    assert shown == {"preservation"}


def test_a_ranking_is_one_pass_for_each_dimension() -> None:
    assert PRESETS["group-rank"].unit_dimensions == ("quality", "alignment", "preservation")
    assert PRESETS["pairwise"].unit_dimensions == ("",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "guessing"}, "Unknown kind"),
        ({"dimensions": ()}, "at least one dimension"),
        ({"dimensions": (ONE, ONE)}, "a name of its own"),
        ({"raters": 0}, "1 to 100"),
        ({"raters": 101}, "1 to 100"),
        ({"extra_raters": -1}, "1 to 100"),
        ({"extra_raters": 101}, "1 to 100"),
        ({"duels": "some"}, "depth of duels"),
        ({"session_minutes": 0}, "1 to 240"),
        ({"session_minutes": 241}, "1 to 240"),
        ({"break_minutes": 0}, "1 to 240"),
        ({"break_minutes": 241}, "1 to 240"),
        ({"dimensions": (replace(ONE, low=5, high=5),)}, "scale of Overall"),
        ({"dimensions": (replace(ONE, low=5, high=1),)}, "scale of Overall"),
        ({"dimensions": (replace(ONE, step=0),)}, "scale of Overall"),
        ({"dimensions": (replace(ONE, step=-1),)}, "scale of Overall"),
        ({"dimensions": (replace(ONE, step=float("nan")),)}, "scale of Overall"),
        ({"dimensions": (replace(ONE, high=float("inf")),)}, "scale of Overall"),
        ({"dimensions": (replace(ONE, low=float("nan")),)}, "scale of Overall"),
        ({"dimensions": (replace(ONE, step=3),)}, "scale of Overall"),
    ],
)
def test_protocols_that_cannot_be_used_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        Protocol(**({"kind": "rating", "dimensions": (ONE,)} | changes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("duels", DUELS)
def test_all_kinds_and_depths_are_allowed(kind: str, duels: str) -> None:
    assert Protocol(kind, (ONE,), duels=duels).unit_dimensions


@given(st.integers(-50, 50), st.sampled_from([1, 0.5, 0.25, 0.1, 0.05, 0.01]), st.integers(1, 400), st.data())
def test_every_step_is_on_the_scale_and_nothing_between(low: int, step: float, steps: int, data: st.DataObject) -> None:
    """Steps such as 0.1 have no exact binary form; typed as a decimal they must be accepted all the same."""
    scale = replace(ONE, low=low, high=round(low + steps * step, 6), step=step)
    place = data.draw(st.integers(0, steps))
    assert scale.allows(round(low + place * step, 6))
    assert scale.allows(low + place * step) or place == steps  # sums may pass the end by a rounding
    assert not scale.allows(low + (place + 0.5) * step)
    assert not scale.allows(low - step)
    assert not scale.allows(scale.high + step)


@pytest.mark.parametrize("score", [None, "3", True, [], float("nan"), float("inf"), -float("inf"), 10**400])
def test_what_is_no_number_of_the_scale_is_not_on_it(score: object) -> None:
    assert not ONE.allows(score)
