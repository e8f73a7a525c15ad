"""The objectives against reference figures and closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.golden import posttraining
from training.gpu.posttrain import losses, steps

GOLDEN = posttraining()
GIVEN = {name: torch.tensor(value) for name, value in GOLDEN["steps"]["inputs"].items()}
WHOLE = GOLDEN["grpo_end_to_end"]
PAIRED = {
    name: torch.tensor(GOLDEN["flow_dpo"][name])
    for name in ("x0_w", "x0_l", "noise", "sigma", "v_theta_w", "v_theta_l", "v_ref_w", "v_ref_l")
}
MATCHED = {
    name: torch.tensor(GOLDEN["nft"][name]) for name in ("x0", "noise", "t", "advantages", "v_theta", "v_old", "v_ref")
}
FLOAT = {"rtol": 1e-4, "atol": 1e-6}
GRADIENT = {"rtol": 1e-4, "atol": 1e-7}
CLOSED_FORM = {"rtol": 1e-4, "atol": 1e-6}


def close(found: Tensor | None, wanted: Any, **limits: float) -> None:
    assert found is not None
    torch.testing.assert_close(found.detach(), torch.tensor(wanted, dtype=found.dtype), **(limits or FLOAT))


def free(value: Tensor) -> Tensor:
    return value.clone().requires_grad_()


def test_it_works() -> None:
    told = torch.tensor([-1.0, -1.0])
    found = losses.grpo(told, told, torch.tensor([1.0, -3.0]), 1e-4)
    assert found.loss == 1 and found.ratio is not None and found.ratio.tolist() == [1, 1] and found.clipped == 0


# Flow-GRPO -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", GOLDEN["grpo_loss"]["cases"], ids=lambda one: f"{one['clip_low']} {one['clip_high']}")
def test_clipped_ratio(case: dict[str, Any]) -> None:
    told = GOLDEN["grpo_loss"]
    log_prob = free(torch.tensor(told["log_prob"]))
    found = losses.grpo(
        log_prob,
        torch.tensor(told["old_log_prob"]),
        torch.tensor(told["advantages"]),
        (case["clip_low"], case["clip_high"]),
        advantage_clip=case["adv_clip_max"],
    )
    close(found.loss, case["loss"])
    close(found.ratio, case["ratio"])
    close(found.clipped, case["clipfrac_gt_one"] + case["clipfrac_lt_one"])
    close(found.values, [max(pair) for pair in zip(case["unclipped"], case["clipped"], strict=True)])
    found.loss.backward()
    close(log_prob.grad, case["grad_log_prob"], **GRADIENT)


SIGMAS = next(
    one["sigmas"] for one in GOLDEN["schedules"] if one["model"] == "kontext" and one["image_seq_len"] == 1024
)
SIGMA, SIGMA_NEXT = (torch.tensor(SIGMAS[WHOLE["step_index"] + more]) for more in (0, 1))
DT = SIGMA_NEXT - SIGMA


def moved(v: Tensor) -> steps.Step:
    """The second of six steps of Kontext."""
    told = {"noise_level": WHOLE["noise_level"], "sigma_max": SIGMAS[1]}
    return steps.sde(GIVEN["sample"], v, SIGMA, SIGMA_NEXT, **told)


OLD = moved(GIVEN["model_output"])
AFTER = OLD.sample(GIVEN["noise"])
ADVANTAGES = torch.tensor(WHOLE["advantages"])


def clip_loss(v: Tensor, clip: float = 1e-4) -> losses.Loss:
    new = moved(v)
    chance = steps.log_prob(AFTER, new.mean, new.noise_std)
    return losses.grpo(chance, steps.log_prob(AFTER, OLD.mean, OLD.noise_std), ADVANTAGES, clip)


def test_a_whole_step_with_its_gradient() -> None:
    v, base = free(GIVEN["model_output_new_policy"]), torch.tensor(WHOLE["model_output_ref"])
    found = clip_loss(v)
    close(found.loss, WHOLE["policy_loss"])
    close(found.ratio, WHOLE["ratio"], rtol=0, atol=1e-6)
    new, frozen = moved(v), moved(base)
    kl = losses.kl_flow_grpo(new.mean, frozen.mean, new.std).mean()
    close(kl, WHOLE["kl_flow_grpo_code(mean, /2std^2, no dt)"], rtol=1e-4, atol=0)
    exact = losses.kl_flow_grpo(new.mean, frozen.mean, new.noise_std).mean()
    close(exact, WHOLE["kl_exact_gaussian_mean(/2 std^2 |dt|)"], rtol=1e-4, atol=0)
    close(exact * v[0].numel(), WHOLE["kl_exact_gaussian_sum"], rtol=1e-4, atol=0)
    close(losses.kl_velocity(v, base).mean(), WHOLE["kl_v_mse"], rtol=1e-4, atol=0)
    total = found.loss + 0.04 * kl
    close(total, WHOLE["total_loss_beta0.04"])
    total.backward()
    close(v.grad, WHOLE["grad_model_output"], **GRADIENT)


def test_on_policy_the_ratio_is_one_and_the_gradient_lies_along_the_noise() -> None:
    v = free(GIVEN["model_output"])
    found = clip_loss(v)
    assert found.ratio is not None and found.ratio.tolist() == [1, 1]
    found.loss.backward()
    close(found.loss, WHOLE["on_policy"]["policy_loss"])
    close(v.grad, WHOLE["on_policy"]["grad_model_output"], **GRADIENT)
    slope = (1 + OLD.std**2 * (1 - SIGMA) / (2 * SIGMA)) * DT / OLD.noise_std
    closed = -ADVANTAGES[:, None, None] / v.numel() * GIVEN["noise"] * slope
    assert v.grad is not None
    torch.testing.assert_close(v.grad, closed, **CLOSED_FORM)


def guarded(v: Tensor, clip: float, dt: Tensor | float) -> losses.Loss:
    new = moved(v)
    told = (new.mean, OLD.mean, new.noise_std, GIVEN["noise"], ADVANTAGES)
    return losses.guard(*told, clip_range=clip, dt=dt)


def test_guard() -> None:
    told = GOLDEN["grpo_guard"]
    v = free(GIVEN["model_output_new_policy"])
    found = guarded(v, told["clip"], DT)
    close(found.loss, told["loss_divided_by_|dt| (flow_grpo/verl-omni)"])
    close(found.ratio, told["ratio"], rtol=0, atol=1e-6)
    close(found.ratio, told["identity_exp_mean(noise*(mu_new-mu_old))"], rtol=0, atol=1e-6)
    close(found.divergence, told["ratio_mean_bias"], rtol=1e-4, atol=0)
    found.loss.backward()
    close(v.grad, told["grad_model_output"], **GRADIENT)
    close(guarded(v, 1e-4, 1.0).loss, told["loss_not_divided (Flow-Factory, clip 1e-4)"])
    same = guarded(GIVEN["model_output"], 1e-4, 1.0)
    assert same.ratio is not None and same.ratio.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["", "case_masked"])
def test_dppo(name: str) -> None:
    told = GOLDEN["flow_dppo"][name] if name else GOLDEN["flow_dppo"]
    new = moved(GIVEN["model_output_new_policy"])
    given = (
        new.mean,
        OLD.mean,
        new.noise_std,
        GIVEN["noise"],
        torch.tensor(told.get("advantages", WHOLE["advantages"])),
    )
    found = losses.dppo(*given, threshold=told["threshold"])
    close(found.loss, told["loss"])
    close(found.divergence, told["kl"], rtol=1e-4, atol=0)
    close(found.clipped, sum(told["masked"]) / 2)
    close(found.ratio, WHOLE["ratio"], rtol=0, atol=1e-6)
    if not name:
        close(losses.dppo(*given, threshold=1e9).loss, told["loss_no_mask(thr 1e9)"])


def test_a_sample_that_is_masked_has_no_gradient_and_one_pulled_back_has() -> None:
    v = free(GIVEN["model_output_new_policy"])
    new = moved(v)
    given = (new.mean, OLD.mean, new.noise_std, GIVEN["noise"])
    losses.dppo(*given, torch.tensor([1.0, 1.0]), threshold=0.0).loss.backward()  # ratios below and above 1
    assert v.grad is not None and v.grad[0].abs().max() > 0 and v.grad[1].abs().max() == 0


# DiffusionNFT and AWM ------------------------------------------------------------------------------------------------

STATE = tuple(MATCHED[name] for name in ("v_old", "x0", "noise", "t"))


@pytest.mark.parametrize("case", GOLDEN["nft"]["cases"], ids=lambda one: f"beta {one['beta']}")
def test_nft(case: dict[str, Any]) -> None:
    v = free(MATCHED["v_theta"])
    told = {"advantages": MATCHED["advantages"], "beta": case["beta"], "adv_clip": case["adv_clip"]}
    found = losses.nft(v, *STATE, **told)
    r, up, down = (torch.tensor(case[name]) for name in ("r", "positive_loss", "negative_loss"))
    torch.testing.assert_close(found.values.detach(), 5 / case["beta"] * (r * up + (1 - r) * down), **FLOAT)
    kl = losses.kl_velocity(v, MATCHED["v_ref"]).mean()
    close(kl, case["kl"])
    total = found.loss + case["kl_beta"] * kl
    close(total, case["loss"])
    total.backward()
    close(v.grad, case["grad_v_theta"], **GRADIENT)


def test_nft_on_policy_the_gradient_follows_the_advantage() -> None:
    old, x0, noise, t = STATE
    v = free(old)
    losses.nft(v, *STATE, advantages=MATCHED["advantages"]).loss.backward()
    assert v.grad is not None
    close(v.grad, GOLDEN["nft"]["on_policy_gradient"]["grad_v_theta"], rtol=1e-4, atol=1e-6)
    time = t[:, None, None]
    error = (1 - time) * x0 + time * noise - time * old - x0
    strength = (MATCHED["advantages"] / 5).clamp(-1, 1)[:, None, None]  # 2 r - 1
    size = error.abs().mean((1, 2), keepdim=True)
    closed = 5 / len(t) * strength * 2 * error * -time / size / x0[0].numel()
    torch.testing.assert_close(v.grad, closed, rtol=1e-4, atol=1e-6)
    assert v.grad[3].abs().max() < 1e-6  # its advantage is 0


NAMES = {"Uniform": "uniform", "t": "t", "t**2": "t2", "huber": "huber", "ghuber": "ghuber"}


@pytest.mark.parametrize("case", GOLDEN["awm"]["cases"], ids=lambda one: NAMES[one["weighting"]])
def test_awm(case: dict[str, Any]) -> None:
    v, name = free(MATCHED["v_theta"]), NAMES[case["weighting"]]
    target = MATCHED["noise"] - MATCHED["x0"]
    for which, wanted in ((v, case["log_prob"]), (MATCHED["v_old"], case["old_log_prob"])):
        error = (which - target).square().flatten(1).mean(1)
        close(-losses.WEIGHTINGS[name](error, MATCHED["t"]), wanted)
    found = losses.awm(v, *STATE, advantages=MATCHED["advantages"], clip_range=1e-4, weighting=name)
    close(found.ratio, case["ratio"])
    close(found.loss, case["loss_clip1e-4"])
    found.loss.backward()
    close(v.grad, case["grad_v"], rtol=1e-4, atol=1e-6)


def test_awm_refuses_an_unknown_weighting() -> None:
    with pytest.raises(ValueError, match="one of uniform, t, t2, huber, ghuber, not 'cosine'"):
        losses.awm(MATCHED["v_theta"], *STATE, advantages=MATCHED["advantages"], weighting="cosine")


# Flow-DPO and fine-tuning --------------------------------------------------------------------------------------------

TARGETS = {"target_w": PAIRED["noise"] - PAIRED["x0_w"], "target_l": PAIRED["noise"] - PAIRED["x0_l"]}


@pytest.mark.parametrize("case", GOLDEN["flow_dpo"]["cases"], ids=lambda one: f"beta {one['beta']:g}")
def test_dpo(case: dict[str, Any]) -> None:
    better, worse = free(PAIRED["v_theta_w"]), free(PAIRED["v_theta_l"])
    found = losses.dpo(better, worse, PAIRED["v_ref_w"], PAIRED["v_ref_l"], **TARGETS, beta=case["beta"])
    close(found.loss, case["loss"])
    close(found.margin, case["inside"])
    assert found.margin is not None and float((found.margin > 0).float().mean()) == case["implicit_acc"]
    found.loss.backward()
    if "grad_v_theta_w" in case:
        close(better.grad, case["grad_v_theta_w"], **GRADIENT)
        close(worse.grad, case["grad_v_theta_l"], **GRADIENT)


def test_dpo_at_the_reference_and_with_a_beta_for_each_time() -> None:
    reference = (PAIRED["v_ref_w"], PAIRED["v_ref_l"])
    found = losses.dpo(*reference, *reference, **TARGETS, beta=2000.0)
    close(found.loss, GOLDEN["flow_dpo"]["at_reference"]["expected"])
    assert found.loss == pytest.approx(math.log(2))
    told = GOLDEN["flow_dpo"]["videoalign_beta_t"]
    beta = told["beta"] * (1 - PAIRED["sigma"]) ** 2
    close(beta, told["beta_t"])
    close(losses.dpo(PAIRED["v_theta_w"], PAIRED["v_theta_l"], *reference, **TARGETS, beta=beta).loss, told["loss"])


def test_fine_tuning() -> None:
    told, v = GOLDEN["sft"], PAIRED["v_theta_w"]
    found = losses.sft(v, TARGETS["target_w"])
    close(found.values, told["per_sample_mse"])
    close(found.loss, told["mean"])
    weighted = losses.sft(v, TARGETS["target_w"], torch.tensor([1.0, 0.25]))
    close(weighted.loss, told["reward_weighted(weights 1,.25; normalised by sum)"])
    only = losses.sft(v, TARGETS["target_w"], torch.tensor([1.0, 0.25]), kept=torch.tensor([False, True]))
    close(only.loss, told["per_sample_mse"][1])


# What is kept --------------------------------------------------------------------------------------------------------


def clipped(v: Tensor, rows: Tensor, kept: Tensor | None) -> losses.Loss:
    chance = steps.unscaled_log_prob(MATCHED["x0"], v)[rows]
    return losses.grpo(chance, chance.detach() * 1.001, MATCHED["advantages"][rows], 1e-4, kept=kept)


def followed(v: Tensor, rows: Tensor, kept: Tensor | None) -> losses.Loss:
    return losses.nft(v[rows], *(one[rows] for one in STATE), advantages=MATCHED["advantages"][rows], kept=kept)


def matched(v: Tensor, rows: Tensor, kept: Tensor | None) -> losses.Loss:
    return losses.awm(v[rows], *(one[rows] for one in STATE), advantages=MATCHED["advantages"][rows], kept=kept)


def tuned(v: Tensor, rows: Tensor, kept: Tensor | None) -> losses.Loss:
    return losses.sft(v[rows], MATCHED["x0"][rows], kept=kept)


Objective = Callable[[Tensor, Tensor, Tensor | None], losses.Loss]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.booleans(), min_size=4, max_size=4), st.sampled_from([clipped, followed, matched, tuned]))
def test_what_is_not_kept_has_no_part(kept: list[bool], objective: Objective) -> None:
    """The loss and its gradient are those of the kept samples alone, and 0 where none is kept."""
    rows, everyone = torch.tensor(kept), torch.ones(4, dtype=torch.bool)
    masked, alone = free(MATCHED["v_theta"]), free(MATCHED["v_theta"])
    found = objective(masked, everyone, rows)
    found.loss.backward()
    assert masked.grad is not None
    if not any(kept):
        assert found.loss == 0 and masked.grad.abs().max() == 0
        return
    wanted = objective(alone, rows, None)
    wanted.loss.backward()
    assert alone.grad is not None
    torch.testing.assert_close(found.loss, wanted.loss)
    torch.testing.assert_close(masked.grad, alone.grad)
