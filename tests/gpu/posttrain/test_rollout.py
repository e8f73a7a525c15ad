"""Rollouts: which steps are random, which cases come when; a sample depends on its own case and seeds alone."""

import dataclasses
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gpu.posttrain.drawn_run import adapter, pipeline, pixels, quick, train_cases
from training.gpu.drawn.sample import sample as by_pipeline
from training.gpu.posttrain.adapter import Condition
from training.gpu.posttrain.rollout import (
    LEAST_SIGMA,
    Pass,
    Slot,
    cases_of,
    passes,
    sample,
    seed_of,
    slots_of,
    window,
)
from training.posttraining.config import CPS, NFT, SDE, Config

CASES = [one.case for one in train_cases(3)]
LINE = [1 - step / 10 for step in range(11)]
ADAPTER = adapter()  # nothing here changes it
CONDITIONS = ADAPTER.encode(CASES)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def rolled(config: Config, slots: list[Slot], random: range, count: int = 4) -> Pass:
    made: Pass = sample(ADAPTER, config, slots, [CONDITIONS[one.place] for one in slots], random=random, count=count)
    return made


def test_the_window_depends_on_seed_and_round_and_moves() -> None:
    config = quick(steps=10, window=2, window_share=0.5)
    found = [window(config, LINE, number) for number in range(200)]
    assert found == [window(quick(steps=10, window=2, window_share=0.5), LINE, number) for number in range(200)]
    assert {len(one) for one in found} == {2} and {one.start for one in found} == {0, 1, 2, 3, 4}
    assert found != [window(dataclasses.replace(config, seed=1), LINE, number) for number in range(200)]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.integers(0, 29), st.floats(0, 1), st.integers(0, 50), st.floats(1.0, 8.0))
def test_the_last_step_and_the_smallest_sigmas_are_never_random(
    steps: int, length: int, share: float, number: int, shift: float
) -> None:
    line = [1 - step / steps for step in range(steps + 1)]
    sigmas = [shift * one / (1 + (shift - 1) * one) for one in line]
    config = dataclasses.replace(quick(), steps=steps, window=min(length, steps - 1), window_share=share)
    found = window(config, sigmas, number)
    assert steps - 1 not in found and all(sigmas[step] > LEAST_SIGMA for step in found)
    if config.window == 0:
        assert list(found) == [step for step in range(steps - 1) if sigmas[step] > LEAST_SIGMA]
    else:
        assert 0 < len(found) <= config.window


def test_every_case_comes_once_before_any_comes_again() -> None:
    config = quick(groups=3)
    drawn = [place for number in range(7) for place in cases_of(config, 7, number)]
    assert [sorted(drawn[turn * 7 : turn * 7 + 7]) for turn in range(3)] == [list(range(7))] * 3
    assert drawn[:7] != drawn[7:14]
    assert sorted(cases_of(quick(groups=5), 2, 0)) in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1])


def test_samples_have_seeds_of_their_own_and_groups_are_numbers() -> None:
    slots = slots_of(quick(groups=2, group=3), [1, 1], 5)
    assert [one.group for one in slots] == [0, 0, 0, 1, 1, 1]  # one case twice is two groups
    assert Counter(one.seed for one in slots).most_common(1)[0][1] == 3 and len({one.path_seed for one in slots}) == 6
    apart = slots_of(quick(groups=2, group=3, shared_noise=False), [1, 1], 5)
    assert len({one.seed for one in apart}) == 6
    alone = slots_of(quick(groups=2, group=3, objective=NFT), [1, 1], 5)  # only the noise could tell them apart
    assert len({one.seed for one in alone}) == 6
    assert not {one.path_seed for one in slots} & {
        one.path_seed for one in slots_of(quick(groups=2, group=3), [1, 1], 6)
    }
    assert all(0 <= one.seed < 2**63 for one in slots)


def test_samples_in_opposite_pairs_share_their_noise_and_turn_it_round() -> None:
    slots = slots_of(quick(groups=2, group=5, opposite=True), [1, 1], 5)
    assert [one.sign for one in slots] == [1, -1, 1, -1, 1] * 2
    for first in (0, 2, 5, 7):
        assert slots[first].path_seed == slots[first + 1].path_seed
    assert len({one.path_seed for one in slots}) == 6
    noise = rolled(quick(), slots, range(1, 2)).taken[0].noise
    assert torch.equal(noise[0], -noise[1]) and torch.equal(noise[2], -noise[3]) and not torch.equal(noise[0], noise[2])


def test_passes_hold_whole_groups_where_they_fit_and_one_shape() -> None:
    wide = [Condition((1,), {}), Condition((2,), {})]
    slots = [Slot(group % 2, group, 0, 0) for group in range(6) for _ in range(4)]
    lots = list(passes(slots, wide, 8))
    assert [[one.group for one in lot] for lot in lots] == [
        [0] * 4 + [2] * 4, [4] * 4, [1] * 4 + [3] * 4, [5] * 4,
    ]  # fmt: skip
    large = list(passes(slots[:4], wide, 3))
    assert [len(lot) for lot in large] == [3, 1]


def test_without_random_steps_a_rollout_ends_in_the_pipelines_pictures() -> None:
    slots = [Slot(place, place, 50 + place, place) for place in range(3)]
    pictures = ADAPTER.decode(rolled(quick(), slots, range(0)).x0, CONDITIONS)
    words = [one.instruction for one in CASES]
    expected = by_pipeline(pipeline(), [one.source for one in CASES], words, [50, 51, 52], 4)
    assert all(np.array_equal(pixels(a), pixels(b)) for a, b in zip(pictures, expected, strict=True))


@pytest.mark.parametrize("dynamics", [SDE, CPS])
def test_without_noise_random_steps_are_ordinary_ones(dynamics: str) -> None:
    config = dataclasses.replace(quick(dynamics=dynamics), noise_level=0.0)
    slots = [Slot(place, place, 50 + place, place) for place in range(3)]
    still, plain = rolled(config, slots, range(3)), rolled(config, slots, range(0))
    assert torch.allclose(still.x0, plain.x0, atol=2e-6)
    for a, b in zip(ADAPTER.decode(still.x0, CONDITIONS), ADAPTER.decode(plain.x0, CONDITIONS), strict=True):
        assert abs(pixels(a) - pixels(b)).max() <= 1


@pytest.mark.parametrize("dynamics", [SDE, CPS])
def test_what_is_kept_of_a_random_step_is_that_step(dynamics: str) -> None:
    config = quick(dynamics=dynamics)
    made = rolled(config, slots_of(config, [0, 1], 0), range(1, 3))
    first, second = made.taken
    assert torch.equal(first.next, second.x) and [round(float(one), 4) for one in first.sigmas] == [0.75, 0.5, 0.75]
    for one in made.taken:
        noise = (one.next - one.mean) / one.noise
        spread = noise.flatten()[one.noise.abs().flatten() > 0.1]
        assert float(spread.std() / spread.mean()) < 1e-3 and one.x.dtype == torch.float32
        assert one.log_prob.shape == (8,) and one.log_prob.isfinite().all()
    assert abs(float(torch.stack([one.noise for one in made.taken]).std()) - 1) < 0.02


def test_a_group_with_one_noise_is_one_path_until_the_window() -> None:
    """The shared beginning is computed once, and the samples are those of paths that were taken alone."""
    config = quick(group=3)
    slots = slots_of(config, [0, 2], 0)
    together = rolled(config, slots, range(2, 3))
    alone = [rolled(config, [one], range(2, 3)) for one in slots]
    assert torch.allclose(together.x0, torch.cat([one.x0 for one in alone]), atol=1e-5)
    x, owner = together.taken[0].x, together.taken[0].owner
    assert len(x) == 2 and owner.tolist() == [0, 0, 0, 1, 1, 1] and not torch.allclose(x[0], x[1])
    after = rolled(config, slots, range(1, 3)).taken[1]
    assert len(after.x) == 6 and after.owner.tolist() == [0, 1, 2, 3, 4, 5]
    assert all(not torch.allclose(a, b, atol=1e-2) for a, b in pairwise(together.x0))
    still = rolled(config, slots, range(0))
    assert torch.equal(still.x0[0], still.x0[2]) and len(still.x0) == 6


def test_each_sample_has_its_own_instruction() -> None:
    """Two instructions for one source, in one pass: each ends where it would alone."""
    other = dataclasses.replace(CASES[0], instruction=CASES[1].instruction)
    told = ADAPTER.encode([CASES[0], other])
    slots = [Slot(0, 0, 9, 0), Slot(1, 1, 9, 0)]
    both = sample(ADAPTER, quick(), slots, told, random=range(0), count=4).x0
    alone = [sample(ADAPTER, quick(), [one], [told[one.place]], random=range(0), count=4).x0[0] for one in slots]
    assert torch.allclose(both, torch.stack(alone), atol=1e-5)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


def test_seeds_are_those_of_their_words() -> None:
    assert seed_of(1, "noise", 2) == seed_of("1", "noise", "2") != seed_of(12, "noise")
