"""Scenes are data: valid, distinct, the same from the same seed, and the same again from JSON."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawnworld.scene import Scene, SceneError, Thing, sample_scene

CIRCLE = Thing("circle", "red", 0)


def test_a_scene_goes_through_json() -> None:
    scene = Scene((CIRCLE, Thing("ring", "blue", 3, 1, -1)), "stripes", "sand", True, "left", "sketch")
    assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene


@given(st.integers())
def test_sampled_scenes_hold_distinct_objects_and_go_through_json(seed: int) -> None:
    scene = sample_scene(random.Random(seed))
    assert 1 <= len(scene.things) <= 3
    for field in ("kind", "colour", "cell"):
        values = [getattr(thing, field) for thing in scene.things]
        assert len(set(values)) == len(values)
    assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene
    assert sample_scene(random.Random(seed)) == scene


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "star"}, "kind"),
        ({"colour": "pink"}, "colour"),
        ({"cell": 4}, "cell"),
        ({"dx": 2}, "jitter"),
        ({"dy": -2}, "jitter"),
    ],
)
def test_a_wrong_object_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(SceneError, match=word):
        replace(CIRCLE, **change)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"pattern": "waves"}, "pattern"),
        ({"pair": "gold"}, "pair"),
        ({"light": "below"}, "light"),
        ({"style": "oil"}, "style"),
        ({"things": (CIRCLE, replace(CIRCLE, kind="ring", cell=1))}, "colour"),
        ({"things": (CIRCLE, replace(CIRCLE, colour="blue", cell=1))}, "kind"),
        ({"things": (CIRCLE, Thing("ring", "blue", 0))}, "cell"),
    ],
)
def test_a_wrong_scene_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(SceneError, match=word):
        replace(Scene((CIRCLE,), "plain", "sand"), **change)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"things": [], "pattern": "plain"},
        {"things": "circle", "pattern": "plain", "pair": "sand"},
        {"things": [{"kind": "circle"}], "pattern": "plain", "pair": "sand"},
        {"things": [1], "pattern": "plain", "pair": "sand"},
        {"things": [], "pattern": "plain", "pair": "sand", "weather": "rain"},
    ],
)
def test_json_that_is_no_scene_is_refused(data: Any) -> None:
    with pytest.raises(SceneError):
        Scene.from_json(data)
