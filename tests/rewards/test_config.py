"""The settings of a training: presets, and the refusal of what would silently do nothing."""

from dataclasses import replace
from typing import Any

import pytest

from training.rewards.config import BOTH, PAIR, POINT, PRESETS, TEXT, Config, Stage, WrongConfig

VLM = {"backbone": "transformers", "model": "/models/vlm"}
GAPS = {"objective": PAIR, "share": 1.0, "large_gaps_first": True}


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_not_named_has_the_presets_value(preset: str) -> None:
    assert Config.from_json({"preset": preset}) == PRESETS[preset]
    assert Config.from_json({"preset": preset, "steps": 7}) == replace(PRESETS[preset], steps=7)
    assert Config.from_json(PRESETS[preset].to_json()) == PRESETS[preset]
    assert Config.from_json({}) == Config() == PRESETS["editloop"]


@pytest.mark.parametrize("preset", ["mine", ["editloop"], None, 3])
def test_an_unknown_preset_is_refused(preset: Any) -> None:
    with pytest.raises(WrongConfig, match=r"no preset .*editloop, editreward, edithf"):
        Config.from_json({"preset": preset})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "/models/vlm"), ("revision", "main"), ("lora_rank", 8), ("lora_alpha", 16), ("train_vision", False),
        ("checkpointing", True), ("max_side", 64), ("dtype", "bfloat16"),
    ],
)  # fmt: skip
def test_a_setting_that_the_drawn_network_does_not_know_is_refused(name: str, value: Any) -> None:
    with pytest.raises(WrongConfig, match=f"setting {name} does nothing with the backbone drawn"):
        Config.from_json({name: value})
    assert getattr(Config.from_json({**VLM, name: value}), name) == value


def test_cached_features_need_a_frozen_tower() -> None:
    with pytest.raises(WrongConfig, match="untick one of the two"):
        Config.from_json({"cache_features": True})
    with pytest.raises(WrongConfig, match="does nothing with the backbone drawn"):
        Config.from_json({"cache_features": True, "train_vision": False})
    assert Config.from_json({**VLM, "cache_features": True, "train_vision": False}).cache_features


@pytest.mark.parametrize(("objective", "ranking"), [(TEXT, "davidson"), (POINT, "davidson"), (PAIR, "none")])
def test_large_gaps_first_needs_a_stage_with_pairs(objective: str, ranking: str) -> None:
    with pytest.raises(WrongConfig, match=f"stage {objective} with the ranking {ranking} does not learn from pairs"):
        Config.from_json({"ranking": ranking, "stages": [{**GAPS, "objective": objective}]})
    for paired in (PAIR, BOTH):
        given = {"ranking": "plackett-luce", "stages": [{**GAPS, "objective": paired}]}
        assert Config.from_json(given).stages == (Stage(paired, 1.0, True),)
