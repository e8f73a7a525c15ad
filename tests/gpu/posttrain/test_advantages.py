"""Advantages of groups, and averaged weights."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden import posttraining
from training.gpu.posttrain.advantages import gdpo, of_groups
from training.gpu.posttrain.ema import Ema, follow, nft_decay

GOLDEN = posttraining()["advantages"]
REWARDS = torch.tensor(GOLDEN["rewards"])
GROUPS = torch.tensor(["abc".index(name) for name in GOLDEN["groups"]])


def test_it_works() -> None:
    found = of_groups(torch.tensor([0.0, 1.0, 0.2, 0.6]), torch.tensor([7, 7, 9, 9]))
    torch.testing.assert_close(found.values, torch.tensor([-1.0, 1.0, -1.0, 1.0]), rtol=1e-3, atol=0)
    assert found.kept.all() and found.zero_spread == found.missing == 0


@pytest.mark.parametrize(
    ("spread", "eps", "name"),
    [
        ("global", 1e-4, "per_prompt_mean_global_std_eps1e-4"),
        ("group", 1e-4, "per_prompt_mean_per_prompt_std_eps1e-4"),
        ("group", 1e-8, "editscore_group_eps1e-8"),
        ("global", 1e-8, "editscore_batch_eps1e-8"),
    ],
)
def test_reference_figures(spread: str, eps: float, name: str) -> None:
    found = of_groups(REWARDS, GROUPS, spread, floor=0, eps=eps)
    torch.testing.assert_close(found.values, torch.tensor(GOLDEN[name]), rtol=1e-4, atol=1e-6)
    assert found.zero_spread == pytest.approx(GOLDEN["zero_std_ratio"])


def test_gdpo_reference_figures() -> None:
    rewards = {name: torch.tensor(values) for name, values in GOLDEN["gdpo"]["rewards"].items()}
    found = gdpo(rewards, GOLDEN["gdpo"]["weights"], GROUPS, floor=0, eps=1e-8)
    torch.testing.assert_close(found.values, torch.tensor(GOLDEN["gdpo"]["advantages"]), rtol=1e-4, atol=1e-6)


def test_gdpo_leaves_out_what_lacks_one_reward() -> None:
    nan = math.nan
    rewards = {"q": torch.tensor([0.1, 0.5, 0.9, 0.4]), "p": torch.tensor([0.3, nan, 0.2, 0.6])}
    groups = torch.zeros(4, dtype=torch.int64)
    found = gdpo(rewards, {"q": 0.5, "p": 0.5}, groups)
    assert found.kept.tolist() == [True, False, True, True] and found.values[1] == 0 and found.missing == 0.25
    without = gdpo({name: one[[0, 2, 3]] for name, one in rewards.items()}, {"q": 0.5, "p": 0.5}, groups[:3])
    torch.testing.assert_close(found.values[found.kept], without.values)
    with pytest.raises(ValueError, match="Every reward needs a weight"):
        gdpo(rewards, {"q": 1.0}, groups)


def test_a_flat_group_is_not_kept_where_its_own_spread_divides() -> None:
    flat = of_groups(REWARDS, GROUPS, "group", floor=0.05)
    assert flat.kept.tolist() == [True] * 4 + [False] * 8  # b spreads by 0.015, c not at all
    assert flat.zero_spread == pytest.approx(2 / 3)
    assert of_groups(REWARDS, GROUPS, "global", floor=0.05).kept.all()


def test_global_spread_shrinks_a_good_group_and_the_groups_own_does_not() -> None:
    own, everyone = of_groups(REWARDS, GROUPS).values[4:8], of_groups(REWARDS, GROUPS, "global").values[4:8]
    assert own.abs().max() > 20 * everyone.abs().max()


def test_a_group_is_its_id_and_not_its_instruction() -> None:
    """Two cases with one instruction are two groups: merged, the worse case would get below-average values alone."""
    rewards, ids = torch.tensor([0.1, 0.2, 0.8, 0.9]), torch.tensor([0, 0, 1, 1])
    apart, merged = of_groups(rewards, ids), of_groups(rewards, torch.zeros_like(ids))
    assert apart.values[1] > 0 > apart.values[2]
    assert merged.values[1] < 0 < merged.values[2]


def test_clip_and_a_single_reward() -> None:
    rewards = torch.tensor([0.0] * 99 + [1.0])
    found = of_groups(rewards, torch.zeros(100, dtype=torch.int32), clip=3.0)
    assert found.values.max() == 3
    alone = of_groups(torch.tensor([0.4, math.nan]), torch.tensor([1, 1]))
    assert not alone.kept.any() and alone.zero_spread == 0 and alone.missing == 0.5
    nothing = of_groups(torch.tensor([math.nan, math.inf]), torch.tensor([1, 2]), "global")
    assert not nothing.kept.any() and nothing.missing == 1 and nothing.values.tolist() == [0, 0]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="group or global"):
        of_groups(REWARDS, GROUPS, "mean")
    with pytest.raises(ValueError, match="one group id for each"):
        of_groups(REWARDS, GROUPS[:3])
    with pytest.raises(ValueError, match="integer ids"):
        of_groups(REWARDS, GROUPS.float())


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_missing_rewards_change_nothing_for_the_others(data: st.DataObject) -> None:
    count = data.draw(st.integers(4, 16))
    rewards = torch.tensor(data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
    groups = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    gone = torch.tensor(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    spread = data.draw(st.sampled_from(["group", "global"]))
    found = of_groups(torch.where(gone, math.nan, rewards), groups, spread)
    without = of_groups(rewards[~gone], groups[~gone], spread)
    assert not found.kept[gone].any() and (found.values[gone] == 0).all()
    assert torch.equal(found.kept[~gone], without.kept)
    torch.testing.assert_close(found.values[~gone], without.values)


# Averaged weights ----------------------------------------------------------------------------------------------------

EMA = posttraining()["ema_flow_grpo"]


def test_decay_and_when() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    ema = Ema([weight], EMA["decay"], EMA["update_step_interval"])
    assert {step: ema.decay_at(int(step)) for step in EMA["effective_decay(step)"]} == pytest.approx(
        EMA["effective_decay(step)"]
    )
    old = {step: nft_decay(int(step)) for step in EMA["nft_old_decay_type1(step)"]}
    assert old == pytest.approx(EMA["nft_old_decay_type1(step)"])
    with torch.no_grad():
        weight.fill_(1.0)
    for step in range(7):
        ema.update(step)
    assert ema.values[0].tolist() == [0, 0]
    ema.update(7)
    assert ema.values[0].tolist() == pytest.approx([1 - 8 / 17] * 2)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_swap_clones_and_restores(kind: torch.dtype) -> None:
    weight = torch.nn.Parameter(torch.randn(64).to(kind))
    ema = Ema([weight], 0.9)
    average = ema.values[0].clone()
    with torch.no_grad():
        weight += 1
    trained, place = weight.detach().clone(), weight.data_ptr()
    with pytest.raises(RuntimeError, match="in between"), ema.swapped():
        torch.testing.assert_close(weight.detach().float(), average)
        assert weight.data_ptr() == place != ema.values[0].data_ptr()
        with torch.no_grad():
            weight.zero_()  # whatever happens within, neither the averages nor the trained weights change
        raise RuntimeError("in between")
    assert torch.equal(weight.detach(), trained) and torch.equal(ema.values[0], average)


def test_load_and_follow() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    ema = Ema([weight], 0.9)
    given = torch.ones(3)
    ema.load([given])
    given.zero_()
    assert ema.values[0].tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="not those of this model"):
        ema.load([torch.ones(4)])
    follow(ema.values, [weight], 0.25)
    assert ema.values[0].tolist() == [0.25] * 3
