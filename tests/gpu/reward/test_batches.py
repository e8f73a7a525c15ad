"""Batches of groups: alike in length, bounded where people are looked at, and what of them is kept in memory."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.gpu.reward.drawn_set import DIMENSIONS
from training.gpu.reward.batches import Plan, Reader, TrainingSet, in_batches, lengths_of
from training.gpu.reward.drawn.network import DrawnBackbone
from training.gpu.reward.network import Example, Prepared
from training.rewards.config import Config
from training.rewards.groups import TRAIN, Entry, Group, Header


def group(key: str, count: int, image: str = "x.png") -> Group:
    entries = tuple(Entry(f"{key}-{place}", image) for place in range(count))
    return Group(key, image, key, "remove the ring", "remove", TRAIN, entries, {})


def test_a_length_is_the_area_of_all_pictures_as_the_model_sees_them(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "small.png")
    Image.new("RGB", (200, 100)).save(tmp_path / "large.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    config = Config(backbone="transformers", max_side=100, most_candidates=3)
    groups = [group("a", 2, "small.png"), group("b", 2, "large.png"), group("c", 7, "small.png")]
    groups += [replace(groups[0], source="large.png"), group("d", 2, "bad.png"), group("e", 2, "none.png")]
    assert lengths_of(tmp_path, groups, config) == pytest.approx([2400, 15000, 3200, 6600, 0, 0])


def test_batches_waste_little_padding_on_pictures_of_many_sizes() -> None:
    """Of the same number of candidates; the numbers of pixels differ by up to 64."""
    rng = np.random.default_rng(0)
    groups = [group(str(number), 4) for number in range(256)]
    lengths = (rng.uniform(1, 8, len(groups)) ** 2).tolist()
    by_key = dict(zip((one.key for one in groups), lengths, strict=True))

    def waste(plan: Plan) -> float:
        batches = [[by_key[one.key] for one in plan.micro_batch(number)] for number in range(plan.per_epoch)]
        return float(1 - sum(lengths) / sum(len(batch) * max(batch) for batch in batches))

    config = Config(batch=8)
    sorted_, unsorted = Plan(groups, config, lengths), Plan(groups, config)
    assert waste(sorted_) < 0.15 and waste(unsorted) > 0.45
    again = Plan(groups, config, lengths)
    for number in (5, 40, 2):  # whatever was drawn before
        assert again.micro_batch(number) == sorted_.micro_batch(number)
    keys = [one.key for number in range(32, 64) for one in again.micro_batch(number)]
    assert sorted(keys) == sorted(by_key)


@pytest.mark.parametrize("counts", [[4] * 10, [2, 64, 3, 64, 64, 64, 5, 2], [64]])
def test_a_look_is_at_no_more_than_a_step_of_training(counts: list[int]) -> None:
    config = Config(batch=4, most_candidates=32)
    groups = [group(str(number), count) for number, count in enumerate(counts)]
    batches = list(in_batches(groups, config))
    assert list(itertools.chain(*batches)) == groups
    for batch in batches:
        longest = max(len(one.candidates) for one in batch)
        assert len(batch) * longest**2 <= 4 * 32**2 and sum(len(one.candidates) for one in batch) <= 4 * 32
    if len(set(counts)) == 1 and counts[0] <= 32:
        assert [len(batch) for batch in batches] == [4, 4, 2]


def test_one_group_over_the_bound_is_looked_at_alone() -> None:
    batches = list(in_batches([group("a", 64), group("b", 64)], Config(batch=2, most_candidates=8)))
    assert [len(batch) for batch in batches] == [1, 1]


class Counting:
    """A backbone that only counts what it prepares."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def prepare(self, example: Example) -> Prepared:
        self.seen.append(example.key)
        return Prepared(example.key, {"x": torch.zeros(1000)}, 1, len(example.candidates))


def test_groups_are_kept_and_drawn_parts_of_large_ones_are_not(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    small, large = group("small", 2), group("large", 9)
    data = TrainingSet(tmp_path, Header("Set", DIMENSIONS, "hash"), (small, large))
    backbone: DrawnBackbone = Counting()  # type: ignore[assignment]
    reader, plan = Reader(data, backbone), Plan([small, large], Config(batch=2, most_candidates=4))
    for number in range(6):
        for one in plan.micro_batch(number):
            reader.prepared(one)
    assert reader.held == 4000 and sorted(backbone.seen) == ["large"] * 6 + ["small"]
    assert reader.prepared(large) is reader.prepared(large) and reader.held == 8000  # whole, of the held-out part
