"""Figures against those of released code: ours where it is right, ``compat`` where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden import reward_losses
from training.rewards import compat
from training.rewards.accuracy import (
    Pairs,
    best_threshold,
    ranks_of,
    right_with_ties,
    tuned_ties,
    with_ties,
    without_ties,
)
from training.rewards.estimates import Resampling
from training.rewards.metrics import pairs_within

GOLDEN = reward_losses()
FEW = Resampling(resamples=20)


def pairs(difference: list[float], outcome: list[int]) -> Pairs:
    return Pairs(np.array(difference), np.array(outcome), np.arange(len(outcome)))


@pytest.mark.parametrize("name", ["accuracy_with_ties", "accuracy_with_ties_no_human_ties"])
def test_accuracy_with_ties(name: str) -> None:
    case = GOLDEN[f"metric/{name}"]
    given, outputs = pairs(case["inputs"]["model_diff"], case["inputs"]["human"]), case["outputs"]
    released = compat.streaming_accuracy_with_ties(given.difference, given.outcome)
    assert released == pytest.approx(outputs["released"])
    threshold, best = best_threshold(given.difference, given.outcome)
    assert best == tuned_ties(given, FEW).value == pytest.approx(outputs["exact_over_all_thresholds"])
    assert threshold == pytest.approx(outputs.get("exact_epsilon", 0))
    assert with_ties(given, threshold, FEW).value == pytest.approx(best)
    decided = without_ties(given, FEW).value
    assert decided == pytest.approx(outputs.get("without_ties", best))


LABELS = [name for name in GOLDEN if name.startswith("metric/bench_label")]


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_a_ranking(name: str) -> None:
    """As released, and as we read them: from ranks follow the same pairs and order, but for "A=B", which is a tie."""
    inputs, outputs = GOLDEN[name]["inputs"], GOLDEN[name]["outputs"]
    assert compat.bench_pairs(inputs["ranking"], inputs["n"]) == outputs["pairwise"]
    assert compat.bench_strict(inputs["ranking"]) == outputs["strict"]
    ranks = np.array(ranks_of(inputs["ranking"], inputs["n"]))
    first, second, outcome = pairs_within(np.zeros(inputs["n"]), -ranks.astype(float))
    ours = {f"{i}{j}": int(o) for i, j, o in zip(first, second, outcome, strict=True)}
    if inputs["ranking"] == "A=B":
        assert ours == {"01": 0}
    else:
        assert ours == outputs["pairwise"]
        assert outputs["strict"] == ("tie" if not ranks.any() else ranks.argsort().tolist())


@pytest.mark.parametrize("label", ["A>B>C", "A", "A>A", "A>B=Great", "", "A>=B", "1>2"])
def test_a_label_that_orders_something_else_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="does not order the candidates A, B"):
        ranks_of(label, 2)


def test_labels_with_ties_inside() -> None:
    assert ranks_of("C>A=B", 3) == (1, 1, 0)
    assert ranks_of(" A = B = Bad ", 2) == (0, 0)
    assert ranks_of("B>D>A=C", 4) == (2, 0, 2, 1)


def test_editrewards_trainer_counts_equal_scores_as_wrong() -> None:
    case = GOLDEN["metric/er_trainer_accuracy"]
    rewards = np.array(case["inputs"]["pred_chosen_rejected"])
    assert compat.editreward_trainer(rewards) == pytest.approx(case["outputs"])
    given = pairs((rewards[:, 0] - rewards[:, 1]).tolist(), [1, 1, 1])
    assert without_ties(given, FEW, equal="wrong").value == pytest.approx(case["outputs"]["Acc"])
    assert without_ties(given, FEW).value == pytest.approx(0.5)


def test_videoaligns_trainer() -> None:
    case = GOLDEN["metric/videoalign_trainer_accuracy"]
    rewards, label = np.array(case["inputs"]["pred"])[..., 0], np.array(case["inputs"]["label"])[:, 0]
    wanted = {name.removesuffix("_VQ"): value for name, value in case["outputs"].items()}
    assert compat.videoalign_trainer(rewards, label) == pytest.approx(wanted)
    ours = without_ties(pairs((rewards[:, 0] - rewards[:, 1]).tolist(), label.tolist()), FEW)
    assert (ours.value, ours.n, ours.skipped) == (wanted["accuracy"], 2, 1)


def test_hpsv3s_rank_accuracy() -> None:
    case = GOLDEN["metric/hpsv3_rank_acc"]
    ranking, rewards = case["inputs"]["ranking"], case["inputs"]["rewards"]
    assert compat.hpsv3_rank_accuracy(ranking, rewards) == pytest.approx(case["outputs"]["acc"])
    score, group = np.ravel(rewards), np.repeat([0, 1], 3)
    first, second, outcome = pairs_within(group, -np.ravel(ranking).astype(float))
    ours = without_ties(Pairs(score[first] - score[second], outcome, group[first]), FEW, equal="wrong")
    assert ours.value == pytest.approx(case["outputs"]["acc"])


def test_editscores_mean_over_passes() -> None:
    case = GOLDEN["editscore/evaluate_average_last"]
    found = compat.editscore(np.array(case["inputs"]["passes_SC_PQ"]), case["params"]["score_range"])
    for name, value in case["outputs"].items():
        assert found[name] == pytest.approx(value)


def test_imagerewards_constants() -> None:
    case = GOLDEN["imagereward/score_normalisation"]
    found = compat.imagereward_normalised(np.array(case["inputs"]["raw"]), **case["params"])
    assert found == pytest.approx(case["outputs"]["normalised"])


def test_the_released_figure_depends_on_the_order_of_equal_differences() -> None:
    """Ours does not: equal differences become ties together."""
    difference, outcome = np.array([0.1, 0.1, -0.5]), np.array([0, 1, -1])
    turned = [1, 0, 2]
    assert compat.streaming_accuracy_with_ties(difference, outcome) == pytest.approx(1)
    assert compat.streaming_accuracy_with_ties(difference[turned], outcome[turned]) == pytest.approx(2 / 3)
    assert best_threshold(difference, outcome)[1] == best_threshold(difference[turned], outcome[turned])[1]
    assert right_with_ties(difference, outcome, best_threshold(difference, outcome)[0]).mean() == pytest.approx(2 / 3)
