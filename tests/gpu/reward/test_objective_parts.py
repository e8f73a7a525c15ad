"""Losses beside one another: scales, crossed pairs, rankings with pairs that were asked, and what is not trained."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.gpu.reward.drawn_set import quick, rewritten, write_drawn_set
from tests.gpu.reward.test_checkpoint import TOLD, example, network
from tests.gpu.reward.test_trainer_objective import TWO, said, scores
from training.gpu.reward import figures, ties
from training.gpu.reward.batches import read_set, targets_of
from training.gpu.reward.drawn import build
from training.gpu.reward.job import refuse
from training.gpu.reward.looks import Predictions, look_at
from training.gpu.reward.network import RewardNetwork
from training.gpu.reward.objective import Objective, Targets, in_total
from training.gpu.reward.scorer import Scorer
from training.gpu.reward.train import Trainer
from training.rewards.config import BOTH, PAIR, POINT, PRESETS, TEXT, Config, Stage, WrongConfig
from training.rewards.groups import DEV, TRAIN, Dimension, Entry, Group, Labels
from webapp.jobs.folder import JobError

ONE = (Dimension("a", "", 1, 5),)


def group_of(count: int, *labels: Labels, key: str = "g") -> Group:
    entries = tuple(Entry(f"{key}-{place}", "x.png") for place in range(count))
    named = dict(zip("abc", labels, strict=False))
    return Group(key, "s.png", key, "remove the ring", "remove", TRAIN, entries, named)


def heads(span: float, out: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    made = RewardNetwork(build(Config(), ("a",)), [0.0], [span])
    with torch.no_grad():
        made.bias.copy_(torch.tensor([out]))
    _mu, log_sigma = made.heads(torch.zeros(1, 1, made.backbone.width))
    log_sigma.sum().backward()
    assert made.bias.grad is not None
    return log_sigma.detach(), made.bias.grad[0, 1]


@pytest.mark.parametrize("span", [0.01, 4.0, 100.0, 1e6])
def test_sigma_learns_on_every_scale(span: float) -> None:
    log_sigma, gradient = heads(span, [0.0, 0.0])
    assert log_sigma.item() == pytest.approx(math.log(span / 4)) and gradient == 1
    assert [heads(span, [0.0, far])[1] for far in (-6.0, 4.0)] == [0, 0]  # the limits are in units of the scale


# Plackett-Luce -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn_set(tmp_path_factory.mktemp("set"), train=2, held_out=2, candidates=4)


def test_a_larger_tie_in_the_held_out_part_is_looked_at(drawn: Path, tmp_path: Path) -> None:
    def changed(group: Group) -> Group:
        ranks = (1.0, 2.0, 3.0, 4.0) if group.split == TRAIN else (1.0, 1.0, 1.0, 4.0)
        return replace(group, labels={one: Labels(ranks=ranks) for one in group.labels})

    data = read_set(rewritten(drawn, "tied.jsonl", changed))
    trainer = Trainer(quick(ranking="plackett-luce"), data, tmp_path)
    config = trainer.config
    look = look_at(trainer.network, trainer.objective, trainer.reader, data.split(DEV), config)
    assert math.isfinite(look.nll) and trainer.objective.log_delta.shape == (2, 2)


def listwise(labels: Labels, mu: Sequence[float]) -> float:
    targets = targets_of([group_of(len(mu), labels)], ONE)
    objective = Objective(Config(ranking="plackett-luce"), ONE, 3)
    column = torch.tensor(mu)[:, None]
    return float(objective.ranking(column, torch.zeros_like(column), targets).detach())


def test_plackett_luce_learns_from_pairs_that_were_asked_and_leaves_out_excluded_ones() -> None:
    mu = [4.0, 3.0, 2.0]
    whole = listwise(Labels(ranks=(1.0, 2.0, 3.0)), mu)
    log_nu = Objective(Config(ranking="plackett-luce"), ONE, 3).log_delta[0, 0]

    def pair(difference: float) -> float:
        return float(-ties.davidson(torch.tensor(difference), log_nu.detach())[ties.WIN])

    assert listwise(Labels(pairs=((0, 2, 1),)), mu) == pytest.approx(pair(2.0), abs=1e-4)
    assert listwise(Labels(pairs=((0, 2, -1),)), mu) == pytest.approx(pair(-2.0), abs=1e-4)
    agreeing = Labels(ranks=(1.0, 2.0, 3.0), pairs=((0, 2, 1),))
    assert listwise(agreeing, mu) == pytest.approx(whole)  # says nothing that the ranking does not
    turned = listwise(replace(agreeing, pairs=((0, 2, -1),)), mu)  # a ranking of three is two choices
    assert turned == pytest.approx(2 * (2 * pair(1.0) + pair(-2.0)) / 3, abs=1e-4)
    left = listwise(Labels(ranks=(1.0, 2.0, 3.0), excluded=frozenset({(0, 2)})), mu)
    assert left == pytest.approx(2 * pair(1.0), abs=1e-4)


# The aggregate -------------------------------------------------------------------------------------------------------


def gradients(config: Config) -> torch.Tensor:
    """By candidate, summed over dimensions, of a group with five decided pairs and a crossed one."""
    outcome = torch.tensor([[1, 1]] * 5 + [[1, -1]])
    first = torch.arange(0, 12, 2)
    targets = replace(said(outcome.tolist()), group=torch.zeros(6).long(), owner=torch.zeros(12).long(), first=first)
    mu = torch.full((12, 2), 3.0, requires_grad=True)
    Objective(config, TWO).ranking(mu, torch.zeros(12, 2), targets).backward()
    assert mu.grad is not None
    return mu.grad.abs().sum(1)


@pytest.mark.parametrize("ranking", ["uncertainty", "bradley-terry", "rao-kupper", "davidson"])
def test_a_crossed_pair_counts_as_much_as_a_decided_one(ranking: str) -> None:
    found = gradients(replace(PRESETS["editreward"], ranking=ranking))
    assert found.min() > 0 and found.max() < 1.5 * found.min()


def test_totals_that_balance_are_equal() -> None:
    """All gaps that ranks of up to 23 candidates can give: a win by a + b against losses by a and by b."""
    rows = [(1, -1, -1, (a + b) / n, a / n, b / n) for n in range(2, 23) for a in range(1, n) for b in range(1, n - a)]
    table = torch.tensor(rows)
    targets = replace(
        said([[1, -1, -1]] * len(rows)), gap=table[:, 3:].float(), known=torch.ones(len(rows), 3, dtype=torch.bool)
    )
    assert len(rows) > 1500 and not in_total(targets).any()
    less = replace(targets, gap=targets.gap * torch.tensor([0.999, 1.0, 1.0]))
    assert (in_total(less) == -1).all()


@pytest.mark.parametrize("ranking", ["rao-kupper", "davidson"])
def test_fused_ties_teach_the_tie_width(ranking: str) -> None:
    objective = Objective(Config(ranking=ranking, fused=True), TWO)
    mu, log_sigma = scores([3.0, 3.0], [3.0, 3.0])
    loss = objective.ranking(mu, log_sigma, said([[0, 0]]))
    loss.backward()
    assert loss.item() > 0.5 and objective.width.grad is not None and (objective.width.grad < 0).all()
    assert Objective(PRESETS["editreward"], TWO).ranking(mu, log_sigma, said([[0, 0]])).item() == 0


@pytest.mark.parametrize("how", ["mean", "sum", "min"])
def test_overall_orders_as_the_fused_training_did_where_scales_differ(how: str) -> None:
    dimensions = (Dimension("alignment", "", 1, 5), Dimension("overall", "", 0, 100))
    found = Scorer(network(), {**TOLD, "aggregate": how}).score([example(0)])[0]
    mu = torch.tensor([list(one.mu.values()) for one in found])
    log_sigma = torch.tensor([list(one.sigma.values()) for one in found]).log()
    objective = Objective(Config(ranking="uncertainty", fused=True, aggregate=how), dimensions)
    index = torch.tensor([0, 1, 2])
    lead, chance = objective.in_total(mu, log_sigma, index, index.roll(1))
    mine = torch.tensor([one.overall for one in found])
    spread = torch.tensor([one.overall_sigma for one in found])
    unit = (found[0].high - found[0].low) / 4 / (2 if how == "sum" else 1)
    torch.testing.assert_close((mine - mine.roll(1)) / unit, lead, rtol=1e-4, atol=1e-4)
    z = (mine - mine.roll(1)) / torch.hypot(spread, spread.roll(1))
    torch.testing.assert_close(torch.special.ndtr(z), chance, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["mean", "sum", "min"])
def test_overall_is_the_plain_aggregate_where_all_scales_are_one(how: str) -> None:
    rows = [{"key": key, "low": 1, "high": 5} for key in ("alignment", "overall")]
    model = network()
    model.low.copy_(torch.ones(2))
    model.span.copy_(torch.full((2,), 4.0))
    for one in Scorer(model, {**TOLD, "dimensions": rows, "aggregate": how}).score([example(0)])[0]:
        mu, sigma = list(one.mu.values()), list(one.sigma.values())
        smallest = sigma[mu.index(min(mu))]
        wanted = {"mean": (sum(mu) / 2, math.hypot(*sigma) / 2), "sum": (sum(mu), math.hypot(*sigma))}
        assert (one.overall, one.overall_sigma) == pytest.approx(wanted.get(how, (min(mu), smallest)), rel=1e-6)


def looked(config: Config, targets: Targets, mu: torch.Tensor, log_sigma: torch.Tensor) -> Predictions:
    groups = tuple(group_of(2, key=str(number)) for number in range(len(targets.group)))
    return Predictions.of(Objective(config, TWO), groups, TWO, mu, log_sigma, said=targets)


def test_calibration_of_a_fused_model_is_of_what_was_trained() -> None:
    """Two pairs decided in total, one in each order, and a crossed one, which is in no figure of the total."""
    targets = said([[1, 9], [-1, 9], [1, -1]])
    mu, log_sigma = scores([5.0, 2.0], [3.0, 2.5], [5.0, 2.0], [3.0, 2.5], [5.0, 2.0], [3.0, 2.5])
    found = figures.calibration(looked(PRESETS["editreward"], targets, mu, log_sigma))
    chance = 0.5 * math.erfc(-0.75 / math.sqrt(2))  # mean of 2 and -0.5; sigma of the difference of two means is 1
    assert [(row["predicted"], row["pairs"]) for row in found["bins"]] == [(pytest.approx(chance, abs=1e-4), 2)]
    assert found["overall"]["accuracy"] == 0.5 and (found["overall"]["pairs"], found["overall"]["ties"]) == (2, 1)
    assert found["overall"]["low"] <= 0.5 <= found["overall"]["high"]
    apart = figures.calibration(looked(Config(), targets, mu, log_sigma))
    assert sum(row["pairs"] for row in apart["bins"]) == 4 and "overall" not in apart


# Without a ranking ---------------------------------------------------------------------------------------------------


def test_without_a_ranking_a_text_stage_is_text_alone_and_pairs_are_judged_by_sigma() -> None:
    objective = Objective(Config(ranking="none"), TWO)
    mu, log_sigma = scores([4.0, 3.0], [3.0, 3.0])
    targets = said([[1, 1]], mos=4.0)
    _, terms = objective.loss(Stage(TEXT), mu, log_sigma, torch.zeros(2, 2, 5), targets)
    assert set(terms) == {"text"}
    assert "anchor" in objective.loss(Stage(PAIR), mu, log_sigma, None, targets)[1]
    found = objective.better(mu, log_sigma, torch.tensor([0]), torch.tensor([1]))
    wanted = 0.5 * math.erfc(-1 / math.sqrt(2) / math.sqrt(2))
    torch.testing.assert_close(found.detach(), torch.tensor([[wanted, 0.5]]))


def test_what_a_ranking_cannot_be_learned_from_is_refused(drawn: Path) -> None:
    data = read_set(drawn)
    ranked = replace(data.groups[0], labels={"alignment": Labels(ranks=(1.0, 2.0, 3.0, 4.0))})
    rated = replace(data.groups[0], labels={"alignment": Labels(mos=(1.0, 2.0, 3.0, 4.0))})
    asked = replace(data.groups[0], labels={"alignment": Labels(pairs=((0, 1, 1),))})

    def of(train: Group, dev: Group, config: Config) -> None:
        refuse(replace(data, groups=(train, replace(dev, split=DEV))), config)

    rates, lists = Config(ranking="none", stages=(Stage(POINT),)), Config(ranking="plackett-luce")
    of(rated, rated, rates)
    with pytest.raises(JobError, match=r"opinion scores \(stage pair, point\), and the dev part .* has none"):
        of(rated, ranked, rates)
    of(rated, ranked, Config(stages=(Stage(POINT),)))  # its dev part is looked at by the ranking
    of(ranked, rated, lists)
    with pytest.raises(JobError, match=r"learns from whole orders, and the train part .* has pairs alone"):
        of(asked, ranked, lists)
    with pytest.raises(JobError, match=r"the dev part .* has pairs alone"):
        of(ranked, asked, lists)


def test_settings_without_anything_to_learn_are_refused() -> None:
    with pytest.raises(WrongConfig, match="nothing to learn in a stage both"):
        Config(ranking="none", anchor=0, stages=(Stage(BOTH),)).check()
    Config(ranking="none", anchor=0, stages=(Stage(POINT),)).check()
