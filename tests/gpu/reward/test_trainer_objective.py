"""What a step minimises: by hand on small tensors."""

import math
from collections.abc import Sequence

import pytest
import torch

from training.gpu.reward.objective import Objective, Targets
from training.rewards.config import BOTH, PAIR, POINT, PRESETS, RANKINGS, TEXT, Config, Stage
from training.rewards.groups import Dimension

RANKS = {1: [1.0, 2.0], 0: [1.5, 1.5], -1: [2.0, 1.0], 9: [math.nan, math.nan]}
TWO = (Dimension("a", "", 1, 5), Dimension("b", "", 1, 5))


def said(outcomes: Sequence[Sequence[int]], gaps: float = 0.5, mos: float = math.nan) -> Targets:
    """One group of two candidates for each row of ``outcomes``, which are by dimension; 9 is unknown."""
    outcome = torch.tensor(outcomes)
    count = len(outcomes)
    known = outcome != 9
    return Targets(
        owner=torch.arange(count).repeat_interleave(2),
        first=torch.arange(0, 2 * count, 2),
        second=torch.arange(1, 2 * count, 2),
        group=torch.arange(count),
        outcome=torch.where(known, outcome, 0),
        known=known,
        gap=torch.full(outcome.shape, gaps),
        mos=torch.full((2 * count, outcome.shape[1]), mos),
        ranks=torch.tensor([RANKS[one] for row in outcomes for one in row])
        .reshape(count, -1, 2)
        .transpose(1, 2)
        .reshape(2 * count, -1),
    )


def scores(*rows: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    mu = torch.tensor(rows, dtype=torch.float32)
    return mu, torch.zeros_like(mu)


def test_bradley_terry_of_each_dimension_is_the_mean_over_decided_pairs() -> None:
    objective = Objective(Config(ranking="bradley-terry"), TWO)
    mu, log_sigma = scores([4.0, 2.0], [3.0, 2.5])
    found = objective.ranking(mu, log_sigma, said([[1, -1]]))
    wanted = (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(-0.5))) / 2
    assert found.item() == pytest.approx(wanted, abs=1e-3)
    tied = objective.ranking(mu, log_sigma, said([[1, 0]]))
    assert tied.item() == pytest.approx(math.log1p(math.exp(-1.0)), abs=1e-3)
    assert objective.ranking(mu, log_sigma, said([[0, 0]])).item() == 0


def test_a_fused_pair_is_ranked_by_the_aggregate_and_a_tie_in_total_by_each_head() -> None:
    objective = Objective(PRESETS["editreward"], TWO)
    mu, log_sigma = scores([4.0, 2.0], [3.0, 2.5])

    def phi(z: float) -> float:
        return 0.5 * math.erfc(-z / math.sqrt(2))

    fused = objective.ranking(mu, log_sigma, said([[1, 9]]))  # mean of 1 and -0.5, sigma of a mean of two is 1/sqrt 2
    assert fused.item() == pytest.approx(-math.log(phi(0.25 / math.sqrt(0.5 + 0.5))), abs=1e-5)
    own = objective.ranking(mu, log_sigma, said([[1, -1]]))  # each dimension with its own head, both are right
    wanted = -(math.log(phi(1 / math.sqrt(2))) + math.log(phi(0.5 / math.sqrt(2)))) / 2
    assert own.item() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("ranking", RANKINGS)
@pytest.mark.parametrize("stage", [Stage(BOTH), Stage(PAIR), Stage(POINT)])
def test_a_loss_does_not_depend_on_the_scale_of_the_ratings(ranking: str, stage: Stage) -> None:
    """1..5 and 0..100 are the same training: all is in units of the scale."""
    found = []
    for low, span in ((1.0, 4.0), (0.0, 100.0)):
        dimensions = (Dimension("a", "", low, low + span), Dimension("b", "", low, low + span))
        objective = Objective(Config(ranking=ranking), dimensions)
        mu = low + span * torch.tensor([[0.6, 0.3], [0.4, 0.4]])
        log_sigma = torch.log(torch.tensor(span / 4)) + torch.zeros_like(mu)
        targets = said([[1, -1]], mos=low + 0.7 * span)
        found.append(objective.loss(stage, mu, log_sigma, None, targets)[0].item())
    assert found[0] == pytest.approx(found[1], rel=1e-4) and found[0] > 0


@pytest.mark.parametrize("ranking", [one for one in RANKINGS if one != "none"])
def test_the_chance_of_the_better_one_is_symmetric_and_grows(ranking: str) -> None:
    objective = Objective(Config(ranking=ranking), TWO)
    mu, log_sigma = scores([3.0, 3.0], [3.0, 4.0], [3.0, 5.0])
    index = torch.tensor([0, 1, 2])
    up = objective.better(mu, log_sigma, index, torch.tensor([0, 0, 0])).detach()
    down = objective.better(mu, log_sigma, torch.tensor([0, 0, 0]), index)
    torch.testing.assert_close(up + down, torch.ones(3, 2))
    assert up[0, 1] == pytest.approx(0.5) and up[0, 1] < up[1, 1] < up[2, 1] < 1


def test_the_tie_width_and_the_sharpness_are_learned_and_kept() -> None:
    objective = Objective(Config(), TWO)
    mu, log_sigma = scores([3.0, 3.0], [3.0, 3.0], [4.0, 3.0], [2.0, 3.0])
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.1)
    widths = [objective.learned()["tie_width"][1]]
    for _ in range(20):
        objective.ranking(mu, log_sigma, said([[9, 0], [1, 0]])).backward()
        optimizer.step()
        optimizer.zero_grad()
    learned = objective.learned()
    assert learned["tie_width"][1] > 2 * widths[0] and learned["slope"][0] > 1.5
    other = Objective(Config(), TWO)
    other.restore(learned)
    assert other.learned() == learned


def test_sigma_learns_how_far_ratings_lie_from_mu_which_it_does_not_move() -> None:
    objective = Objective(Config(ranking="rao-kupper", anchor=1.0), TWO)
    mu, log_sigma = torch.full((4, 2), 3.0, requires_grad=True), torch.zeros(4, 2, requires_grad=True)
    targets = said([[9, 9], [9, 9]], mos=3.5)
    _, terms = objective.loss(Stage(POINT), mu, log_sigma, None, targets)
    assert terms["anchor"] == pytest.approx(0.25) and set(terms) == {"anchor", "doubt"}
    optimizer = torch.optim.SGD([log_sigma], lr=1.0)
    for _ in range(100):
        objective.loss(Stage(POINT), mu.detach(), log_sigma, None, targets)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.testing.assert_close(log_sigma.exp(), torch.full((4, 2), 0.5), atol=0.01, rtol=0)


def test_text_and_centring() -> None:
    objective = Objective(Config(centring=0.5), TWO)
    logits = torch.zeros(2, 2, 5, requires_grad=True)
    loss, terms = objective.loss(Stage(TEXT), *scores([3.0, 3.0], [3.0, 3.0]), logits, said([[1, 1]], mos=5.0))
    loss.backward()
    assert terms == {"text": pytest.approx(math.log(5))} and logits.grad is not None
    assert (logits.grad[..., 4] < 0).all() and (logits.grad[..., :4] > 0).all()
    _, terms = objective.loss(Stage(PAIR), *scores([4.0, 4.0], [4.0, 4.0]), None, said([[1, 1]]))
    assert terms["centring"] == pytest.approx(0.5 * (1 + 1) ** 2)
