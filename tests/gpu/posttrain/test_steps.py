"""Schedules and steps against reference figures, and what must hold of every step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.golden import posttraining
from training.gpu.posttrain import schedules, steps

GOLDEN = posttraining()
SCHEDULES = GOLDEN["schedules"]
CASES = GOLDEN["steps"]["cases"]
GIVEN = {name: torch.tensor(value) for name, value in GOLDEN["steps"]["inputs"].items()}
FLOAT = {"rtol": 1e-4, "atol": 1e-6}
GRADIENT = {"rtol": 1e-4, "atol": 1e-7}


def close(found: Tensor, wanted: Any, **limits: float) -> None:
    wanted = torch.tensor(wanted, dtype=found.dtype)
    torch.testing.assert_close(found.detach(), wanted.expand_as(found), **(limits or FLOAT))


def label(case: dict[str, Any]) -> str:
    return f"{case['schedule'][0]} {case['type']} {case['noise_level']:g} at {case['sigma']:.3f}"


def step_of(case: dict[str, Any], v: Tensor) -> steps.Step:
    sigma, sigma_next = torch.tensor(case["sigma"]), torch.tensor(case["sigma_next"])
    told = {"noise_level": case["noise_level"], "sigma_max": case["sigma_max"]}
    return steps.transition(case["type"], GIVEN["sample"], v, sigma, sigma_next, **told)


def test_it_works() -> None:
    sigmas = schedules.schedule({"shift": 3.0}, 4, 1024)
    x, v = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    step = steps.sde(x, v, sigmas[1], sigmas[2], noise_level=0.7, sigma_max=sigmas[1])
    assert sigmas.shape == (5,) and sigmas[0] == 1 and sigmas[-1] == 0
    assert step.sample(torch.randn(2, 3, 4)).shape == (2, 3, 4)


# Schedules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda one: f"{one['model']} {one['num_steps']} {one['image_seq_len']}")
def test_schedule_is_that_of_the_pipeline(case: dict[str, Any]) -> None:
    close(schedules.schedule(case["config"], case["num_steps"], case["image_seq_len"]), case["sigmas"])
    if case["mu"] is not None:
        assert schedules.mu_of(case["image_seq_len"], case["config"]) == pytest.approx(case["mu"])


def test_a_linear_shift_and_an_unknown_one() -> None:
    sigmas = schedules.linear_sigmas(4)
    close(sigmas, [1.0, 0.75, 0.5, 0.25])
    close(schedules.time_shifted(sigmas, 3.0, schedules.LINEAR), schedules.shifted(sigmas, 3.0).tolist())
    with pytest.raises(ValueError, match="exponential or linear, not 'cubic'"):
        schedules.time_shifted(sigmas, 3.0, "cubic")


# Steps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=label)
def test_step_and_its_probability(case: dict[str, Any]) -> None:
    step = step_of(case, GIVEN["model_output"])
    close(step.mean, case["mean"])
    for name in ("std", "noise_std"):
        if name in case:
            close(getattr(step, name), case[name])
    after = step.sample(GIVEN["noise"])
    chance = steps.policy_log_prob(case["type"], after, step)
    if case["log_prob"][0] is None:  # without noise there is no density
        assert not chance.isfinite().any()
        return
    close(chance, case["log_prob"])
    v = GIVEN["model_output_new_policy"].clone().requires_grad_()
    other = steps.policy_log_prob(case["type"], after, step_of(case, v))
    close(other, case["new_log_prob"])
    if "ratio" in case:
        close(torch.exp(other - chance), case["ratio"], rtol=0, atol=1e-6)
        other.sum().backward()
        assert v.grad is not None
        close(v.grad, case["grad"], **GRADIENT)


@pytest.mark.parametrize("case", GOLDEN["editscore"]["cases"], ids=lambda one: f"t {one['t']:.2f}")
def test_the_other_convention_of_time_gives_the_same_step(case: dict[str, Any]) -> None:
    """EditScore counts t = 1 - sigma upwards."""
    sigma, sigma_next = torch.tensor(1 - case["t"]), torch.tensor(1 - case["t_next"])
    step = steps.sde(GIVEN["sample"], GIVEN["model_output"], sigma, sigma_next, noise_level=0.7, sigma_max=0.96)
    close(step.std, case["sigma_t"])
    close(step.mean, case["mean"])
    close(steps.log_prob(step.sample(GIVEN["noise"]), step.mean, step.noise_std), case["log_prob"])


def test_first_step_and_padding() -> None:
    told = GOLDEN["editscore"]
    second = next(one for one in SCHEDULES if one["model"] == "sd3_like" and one["num_steps"] == 10)["sigmas"][1]
    x, v = GIVEN["sample"], GIVEN["model_output"]
    first = steps.sde(x, v, torch.tensor(1.0), torch.tensor(second), noise_level=0.7, sigma_max=second)
    close(first.std, told["first_std"])
    masked = told["masked"]
    step = steps.sde(x, v, torch.tensor(0.8), torch.tensor(0.7), noise_level=0.7, sigma_max=second)
    after, mask = torch.tensor(masked["latents_next"]), torch.tensor(masked["mask"])
    close(steps.log_prob(after, step.mean, step.noise_std, mask), masked["log_prob"])
    padded = after.clone()
    padded[0, 2] = 1e3
    close(steps.log_prob(padded, step.mean, step.noise_std, mask), masked["log_prob"])


@pytest.mark.parametrize("dynamics", ["sde", "cps", "dance"])
def test_without_noise_it_is_the_ode_and_a_batch_is_its_samples(dynamics: str) -> None:
    x, v = torch.randn(3, 5, 2), torch.randn(3, 5, 2)
    sigma, sigma_next = torch.tensor([1.0, 0.6, 0.2]), torch.tensor([0.9, 0.5, 0.0])
    still = steps.transition(dynamics, x, v, sigma, sigma_next, noise_level=0.0, sigma_max=0.9)
    torch.testing.assert_close(still.sample(torch.randn(3, 5, 2)), steps.ode(x, v, sigma, sigma_next))
    whole = steps.transition(dynamics, x, v, sigma, sigma_next, noise_level=0.5, sigma_max=0.9)
    for one in range(3):
        rows = slice(one, one + 1)
        single = steps.transition(
            dynamics, x[rows], v[rows], sigma[one], sigma_next[one], noise_level=0.5, sigma_max=0.9
        )
        torch.testing.assert_close(single.mean, whole.mean[rows])


def test_unknown_dynamics() -> None:
    x, sigma = torch.zeros(1, 2, 2), torch.tensor(0.5)
    with pytest.raises(ValueError, match="not 'walk'"):
        steps.transition("walk", x, x, sigma, sigma / 2, noise_level=0.5, sigma_max=0.9)


def test_half_precision_is_widened() -> None:
    x = torch.ones(1, 2, 2, dtype=torch.bfloat16)
    sigma = torch.tensor(0.5)
    assert steps.ode(x, x, sigma, sigma / 2).dtype == torch.float32
    assert steps.sde(x, x, sigma, sigma / 2, noise_level=0.7, sigma_max=0.9).mean.dtype == torch.float32


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 0.99), st.floats(0.1, 0.9), st.floats(0.1, 1.0), st.sampled_from(["sde", "cps", "dance"]))
def test_the_noise_that_a_step_keeps_is_right(sigma: float, share: float, level: float, dynamics: str) -> None:
    """With the exact velocity of one picture every x_sigma stays (1 - sigma) x0 + sigma noise. CPS keeps the variance
    exactly; the SDE does so as steps become small, so its step here is a thousandth."""
    after = sigma * share if dynamics == "cps" else sigma - share / 1000
    picture, noise = torch.tensor([[0.3]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
    told = (torch.tensor(sigma, dtype=torch.float64), torch.tensor(after, dtype=torch.float64))
    level = level if dynamics == "cps" else level / 2

    def mean(eps: Tensor) -> steps.Step:
        x = (1 - sigma) * picture + sigma * eps
        return steps.transition(dynamics, x, eps - picture, *told, noise_level=level, sigma_max=0.99)

    still, moved = mean(torch.zeros_like(noise)), mean(noise)
    assert float(still.mean) == pytest.approx(float((1 - told[1]) * picture), abs=1e-9 if dynamics == "cps" else 1e-3)
    variance = float((moved.mean - still.mean) ** 2 + still.noise_std**2)
    assert variance == pytest.approx(after**2, rel=1e-6 if dynamics == "cps" else 2e-2)
