"""Losses against figures of released code: ours where the code is right, ``compat`` where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.golden import reward_losses
from training.gpu.reward import compat
from training.gpu.reward.lists import group_mean, plackett_luce
from training.gpu.reward.losses import aggregate, bradley_terry, centring, mos_error
from training.gpu.reward.ties import LOSS, TIE, WIN, davidson, outcome_loss, rao_kupper

GOLDEN = reward_losses()
BOTH = ("er", "hpsv3")


def close(found: Tensor | float, wanted: Any, rtol: float = 1e-5) -> None:
    found = torch.as_tensor(found).detach()
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=found.dtype), rtol=rtol, atol=1e-7)


def pair(case: dict[str, Any], first: str = "chosen", second: str = "rejected") -> tuple[Tensor, Tensor]:
    one, other = (torch.tensor(case["inputs"][name], requires_grad=True) for name in (first, second))
    return one, other


def agrees(loss: Tensor, one: Tensor, other: Tensor, outputs: dict[str, Any], names: tuple[str, str]) -> None:
    """The value and both gradients."""
    loss.backward()
    close(loss, outputs["loss"])
    close(one.grad, outputs[names[0]])
    close(other.grad, outputs[names[1]])


SCALAR: dict[str, Callable[[Tensor, Tensor, dict[str, float]], Tensor]] = {
    "bt": lambda chosen, rejected, _: bradley_terry(chosen - rejected).mean(),
    "constant_margin": lambda chosen, rejected, p: bradley_terry(chosen - rejected, p["margin"]).mean(),
    "likelihood_displacement": lambda chosen, rejected, p: compat.likelihood_displacement(chosen, rejected, p["tau"]),
    "btt": lambda chosen, rejected, p: compat.ties_never_reached(chosen, rejected, p["k"]),
    "hpsv2": lambda chosen, rejected, _: compat.double_softmax(chosen, rejected),
}


@pytest.mark.parametrize("name", SCALAR)
@pytest.mark.parametrize("repository", BOTH)
def test_losses_of_one_score(repository: str, name: str) -> None:
    case = GOLDEN[f"{repository}/{name}"]
    chosen, rejected = pair(case)
    loss = SCALAR[name](chosen, rejected, case.get("params", {}))
    agrees(loss, chosen, rejected, case["outputs"], ("grad_chosen", "grad_rejected"))


@pytest.mark.parametrize(
    "name", ["er/uncertainty_mc_seed1234", "hpsv3/uncertainty_mc_seed1234", "er/uncertainty_with_margin_mc_seed1234"]
)
def test_the_sampled_loss_with_its_seed(name: str) -> None:
    case = GOLDEN[name]
    chosen, rejected = pair(case, "chosen_mu_logsigma", "rejected_mu_logsigma")
    loss = compat.sampled_logistic(chosen, rejected, seed=1234, margin=case["params"].get("margin", 0.0))
    agrees(loss, chosen, rejected, case["outputs"], ("grad_chosen", "grad_rejected"))


@pytest.mark.parametrize("name", ["E_neglogsig", "probit_approx"])
def test_deterministic_references(name: str) -> None:
    case = GOLDEN[f"reference/uncertainty_{name}"]
    formula = {"E_neglogsig": compat.expected_negative_log, "probit_approx": compat.probit_approximation}[name]
    chosen, rejected = (torch.tensor(case["inputs"][f"{side}_mu_logsigma"]).double() for side in ("chosen", "rejected"))
    each = formula(chosen.requires_grad_(), rejected.requires_grad_())
    close(each, case["outputs"]["per_pair"])
    agrees(each.mean(), chosen, rejected, case["outputs"], ("grad_chosen", "grad_rejected"))


def test_many_seeds_of_the_sampled_loss_average_to_the_expectation() -> None:
    """So what is wrong with it is the place of the logarithm, not the number of samples."""
    case = GOLDEN["er/uncertainty_mc_seed1234"]
    chosen, rejected = pair(case, "chosen_mu_logsigma", "rejected_mu_logsigma")
    found = torch.stack([compat.sampled_logistic(chosen, rejected, seed=seed).detach() for seed in range(200)])
    assert abs(found.mean().item() - case["outputs"]["mc_mean_200_seeds"]) < 0.003
    assert abs(found.mean().item() - GOLDEN["reference/uncertainty_E_neglogsig"]["outputs"]["loss"]) < 0.003
    assert 0.005 < found.std().item() < 0.02


def test_editreward_regression() -> None:
    case = GOLDEN["er/reg"]
    chosen, rejected = pair(case, "chosen_mu_logsigma", "rejected_mu_logsigma")
    scores = [torch.tensor(case["inputs"][f"scores_{side}"]) for side in ("chosen", "rejected")]
    centre = case["params"]["center"]
    agrees(
        compat.editreward_regression(chosen, rejected, *scores, centre),
        chosen,
        rejected,
        case["outputs"],
        ("grad_chosen", "grad_rejected"),
    )
    ours = mos_error(torch.cat([chosen[:, 0], rejected[:, 0]]), torch.cat(scores) - centre)
    close(ours, case["outputs"]["loss"])


VIDEOALIGN: dict[str, Callable[[dict[str, Tensor], dict[str, float]], Tensor]] = {
    "bt": lambda t, _: compat.videoalign_pairs(t["rewards_A"], t["rewards_B"], t["chosen_label"]),
    "constant_margin": lambda t, p: compat.videoalign_pairs(
        t["rewards_A"], t["rewards_B"], t["chosen_label"], margin=p["margin"]
    ),
    "margin": lambda t, _: compat.videoalign_pairs(t["rewards_A"], t["rewards_B"], t["chosen_label"], margin=_lead(t)),
    "scaled": lambda t, _: compat.videoalign_pairs(t["rewards_A"], t["rewards_B"], t["chosen_label"], scale=_lead(t)),
    "reg": lambda t, p: compat.videoalign_regression(
        t["rewards_A"], t["rewards_B"], t["scores_A"], t["scores_B"], label=t["chosen_label"], centre=p["center"]
    ),
}


def _lead(t: dict[str, Tensor]) -> Tensor:
    return compat.videoalign_score_lead(t["scores_A"], t["scores_B"], t["chosen_label"])


@pytest.mark.parametrize("name", VIDEOALIGN)
def test_videoalign(name: str) -> None:
    case = GOLDEN[f"videoalign/{name}"]
    tensors = {key: torch.tensor(value) for key, value in case["inputs"].items()}
    first, second = tensors["rewards_A"].requires_grad_(), tensors["rewards_B"].requires_grad_()
    loss = VIDEOALIGN[name](tensors, case.get("params", {}))
    agrees(loss, first, second, case["outputs"], ("grad_A", "grad_B"))


def test_our_mean_leaves_masked_pairs_out_of_the_count() -> None:
    case = GOLDEN["videoalign/bt"]
    first, second, label = (torch.tensor(case["inputs"][key]) for key in ("rewards_A", "rewards_B", "chosen_label"))
    decided = label.abs() == 1
    lead = torch.where(label == 1, first - second, second - first)
    ours = group_mean(bradley_terry(lead), torch.zeros(4, dtype=torch.long), valid=decided)
    per_dimension = [bradley_terry(lead[:, d][decided[:, d]]).mean() for d in range(3)]
    close(ours, float(torch.stack(per_dimension).mean()))
    released = case["outputs"]["loss"]
    close(released * decided.numel() / decided.sum().item(), float(bradley_terry(lead[decided]).mean()))


@pytest.mark.parametrize("name", ["plain", "margin", "center"])
def test_trl(name: str) -> None:
    case = GOLDEN[f"trl/{name}"]
    params = case.get("params", {})
    logits = torch.tensor(case["inputs"]["logits"], requires_grad=True)
    chosen, rejected = logits[:3, 0], logits[3:, 0]
    margin = torch.tensor(params.get("margin", [0.0] * 3))
    loss = bradley_terry(chosen - rejected, margin).mean() + centring(chosen, rejected, params.get("center", 0.0))
    loss.backward()
    close(loss, case["outputs"]["loss"])
    close(logits.grad, case["outputs"]["grad"])


def test_imagereward_is_bradley_terry() -> None:
    case = GOLDEN["imagereward/ce_pair"]
    reward = torch.tensor(case["inputs"]["reward"], requires_grad=True)
    each = bradley_terry(reward[:, 0] - reward[:, 1])
    each.mean().backward()
    close(each, case["outputs"]["per_pair"])
    close(each.mean(), case["outputs"]["loss"])
    close(reward.grad, case["outputs"]["grad"])
    close((reward[:, 0] > reward[:, 1]).float().mean(), case["outputs"]["acc"])


@pytest.mark.parametrize("how", ["min", "mean", "sum"])
def test_fusion(how: str) -> None:
    """per_head: (heads, candidates, 2). Of the three, only the released sum is that of independent Gaussians."""
    case = GOLDEN[f"er/fusion_{how}"]
    heads = torch.tensor(case["inputs"]["per_head"]).double()
    mu, log_sigma = heads[..., 0].T, heads[..., 1].T
    released = {"min": compat.fusion_min, "mean": compat.fusion_mean, "sum": lambda m, s: aggregate(m, s, "sum")}[how]
    close(torch.stack(released(mu, log_sigma), dim=1), case["outputs"]["fused"])
    ours_mu, ours_log_sigma = aggregate(mu, log_sigma, how)
    close(ours_mu, [row[0] for row in case["outputs"]["fused"]])
    assert torch.allclose(ours_log_sigma, released(mu, log_sigma)[1]) == (how == "sum")


@pytest.mark.parametrize("name", ["last", "mean", "special"])
def test_pooling(name: str) -> None:
    inputs, wanted = GOLDEN[f"er/pool_{name}"]["inputs"], GOLDEN[f"er/pool_{name}"]["outputs"]["pooled"]
    states, tokens = torch.tensor(inputs["logits"]), torch.tensor(inputs["input_ids"])
    lengths = (tokens != inputs["pad"]).sum(dim=1)
    if name == "special":
        close(compat.pool_special(states, tokens, inputs["reward_id"]), wanted)
        return
    close({"last": compat.pool_last, "mean": compat.pool_mean}[name](states, lengths), wanted)
    whole = torch.stack([row[:length].mean(dim=0) for row, length in zip(states, lengths, strict=True)])
    assert not torch.allclose(whole, compat.pool_mean(states, lengths))


def test_plackett_luce() -> None:
    case = GOLDEN["reference/plackett_luce_full"]
    scores = torch.tensor(case["inputs"]["scores"], requires_grad=True)
    ranks = torch.empty(4)
    ranks[case["inputs"]["order_best_first"]] = torch.arange(1.0, 5.0)
    loss = plackett_luce(scores, ranks)
    loss.backward()
    close(loss, case["outputs"]["loss"])
    close(scores.grad, case["outputs"]["grad"])


def test_the_mean_over_a_groups_pairs() -> None:
    case = GOLDEN["reference/group_pairwise_bt_mean"]
    scores = torch.tensor(case["inputs"]["scores"], requires_grad=True)
    ranking = torch.tensor(case["inputs"]["ranking"])
    first, second = torch.combinations(torch.arange(4)).T
    lead = (ranking[second] - ranking[first]).sign()
    each = bradley_terry(lead * (scores[first] - scores[second]))
    loss = group_mean(each, torch.zeros(6, dtype=torch.long), valid=lead != 0)
    loss.backward()
    close(loss, case["outputs"]["loss"])
    close(scores.grad, case["outputs"]["grad"])


@pytest.mark.parametrize("name", ["rao_kupper_k5", "davidson_nu1"])
def test_ties(name: str) -> None:
    case = GOLDEN[f"reference/{name}"]
    difference = torch.tensor(case["inputs"]["diff"]).double()
    if name == "rao_kupper_k5":
        log_p = rao_kupper(difference, math.log(case["params"]["k"]))
        close(log_p.exp().sum(-1), case["outputs"]["prob_sum"])
    else:
        log_p = davidson(difference, math.log(case["params"]["nu"]))
    for outcome, place, word in ((1, WIN, "win"), (0, TIE, "tie"), (-1, LOSS, "loss")):
        close(-log_p[:, place], case["outputs"][f"nll_{word}"])
        close(outcome_loss(log_p, torch.full((4,), outcome)), case["outputs"][f"nll_{word}"])
