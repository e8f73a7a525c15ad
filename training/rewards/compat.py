"""Figures of reward models as other projects released them, for parity tests alone. Each says what is wrong."""

from __future__ import annotations

import numpy as np

from scoring.stats.grouped import Codes, Floats


def streaming_accuracy_with_ties(difference: Floats, outcome: Codes) -> float:
    """ "Accuracy with ties" of GenAI-Bench, VideoAlign and EditReward: pairs become ties one after the other by
    |difference|, and the best moment counts.

    Wrong in three ways: the threshold is tuned on the labels it is judged by; it also stops in the middle of equal
    |difference|, so the order of the rows matters; and "no ties at all" is never looked at, so that a perfect model on
    labels without ties scores below 1. ``accuracy.best_threshold`` is the exact maximum, ``with_ties`` the honest one.
    """
    order = np.argsort(np.abs(difference), kind="stable")
    right = (np.sign(difference) == outcome)[order] & (difference != 0)[order]
    gained = np.cumsum((outcome == 0)[order].astype(np.float64) - right)
    return float((right.sum() + gained.max()) / outcome.size)


def bench_pairs(label: str, size: int) -> dict[str, int]:
    """EditReward-Bench's labels as its code reads them: "01" is candidate A against B, 1 where A is better.

    Wrong: of all ties it knows the literal "A=B=Good" and "A=B=Bad" alone. In "A=B", the data set's own way to write a
    tie, it looks at who is named first, and so reads "A>B". ``accuracy.ranks_of`` reads a tie.
    """
    tied = label in ("A=B=Good", "A=B=Bad")
    place = [label.index(chr(ord("A") + candidate)) for candidate in range(size)]
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    return {f"{i}{j}": 0 if tied else 1 if place[i] < place[j] else -1 for i, j in pairs}


def bench_strict(label: str) -> list[int] | str | None:
    """The order that a tuple must have: best first, or "tie"; None is never right.

    Wrong: "A=B" is None, so no model can be right about it.
    """
    if label in ("A=B=Good", "A=B=Bad"):
        return "tie"
    names = label.split(">")
    return [ord(name) - ord("A") for name in names] if all(len(name) == 1 for name in names) else None


def editreward_trainer(rewards: Floats) -> dict[str, float]:
    """EditReward's figures while it trains; (pairs, 2): chosen, rejected.

    Wrong: equal scores count as wrong without a word. And where a loss other than "uncertainty" has two outputs, the
    released step hands over [mu, log sigma] of one candidate as if they were two candidates: give such columns here,
    and this computes that nonsense too.
    """
    chosen, rejected = rewards[:, 0], rewards[:, 1]
    return {
        "Acc": float((chosen > rejected).mean()),
        "R_chosen_avg": float(chosen.mean()),
        "R_rejected_avg": float(rejected.mean()),
    }


def videoalign_trainer(rewards: Floats, label: Codes) -> dict[str, float]:
    """VideoAlign's figures of one dimension while it trains; rewards (pairs, 2), label (pairs,): 1, -1, 0 a tie.

    Not wrong where labels are decided; ties are left out of everything, unnamed.
    """
    decided = label != 0
    first, second, ahead = rewards[decided, 0], rewards[decided, 1], label[decided] == 1
    chosen, rejected = np.where(ahead, first, second), np.where(ahead, second, first)
    return {
        "accuracy": float((chosen > rejected).mean()),
        "rewards_chosen_avg": float(chosen.mean()),
        "rewards_rejected_avg": float(rejected.mean()),
    }


def hpsv3_rank_accuracy(ranking: list[list[int]], rewards: list[list[float]]) -> float:
    """HPSv3's share of pairs in people's order, over all groups at once; rank 1 is best, tied ranks are skipped.

    Equal rewards are wrong, and a group of nine counts as 36 groups of two.
    """
    right = [
        (a > b) == (one < other) and a != b
        for ranks, scores in zip(ranking, rewards, strict=True)
        for i, (one, a) in enumerate(zip(ranks, scores, strict=True))
        for other, b in zip(ranks[i + 1 :], scores[i + 1 :], strict=True)
        if one != other
    ]
    return sum(right) / len(right)


def editscore(passes: Floats, score_range: float) -> dict[str, Floats | float]:
    """EditScore, average last: passes (passes, 2, 2): the two scores of SC, then of PQ, in 0..score_range.

    Each pass is √(lowest SC · lowest PQ) on 0-10, overall their mean. Not wrong; its "average first" would take the
    root of the product of two means, and leave the second score of SC out.
    """
    scaled = np.asarray(passes, dtype=np.float64) * 10 / score_range
    per_pass = np.sqrt(scaled.min(axis=2).prod(axis=1))
    following, consistency = scaled[:, 0].mean(axis=0)
    return {
        "per_pass": per_pass,
        "overall": float(per_pass.mean()),
        "prompt_following": float(following),
        "consistency": float(consistency),
    }


def imagereward_normalised(raw: Floats, mean: float, std: float) -> Floats:
    """(raw - mean)/std with the constants of ImageReward's training set.

    Not wrong, but a shift and a scale alone: scores of another model or data set are not comparable by it.
    """
    return (np.asarray(raw, dtype=np.float64) - mean) / std
