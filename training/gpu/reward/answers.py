"""Scores for whoever asks: where the model cannot take one picture, the others still have their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from training.gpu.editors import CannotEdit
from training.gpu.reward.network import Example
from training.gpu.reward.scorer import Scored

Answer = Scored | str  # a string: why there is no score, in the user's words


class Scores(Protocol):
    def score(self, examples: Sequence[Example]) -> list[list[Scored]]: ...


def answers(scorer: Scores, examples: Sequence[Example]) -> list[list[Answer]]:
    """For each candidate of each example, in order. One pass where nothing is refused; else group by group, and in the
    group that is refused candidate by candidate."""
    try:
        return [list(group) for group in scorer.score(examples)]
    except CannotEdit as error:
        if len(examples) > 1:
            return [found for example in examples for found in answers(scorer, [example])]
        (example,) = examples
        if len(example.candidates) == 1:
            return [[str(error)]]
        alone = (Example(example.key, example.instruction, example.source, (one,)) for one in example.candidates)
        return [[found for one in alone for found in answers(scorer, [one])[0]]]


def problem_of(answer: Answer) -> str:
    """Why there is no score to give on; empty where there is one. JSON knows no NaN."""
    if isinstance(answer, str):
        return answer
    numbers = (answer.overall, answer.overall_sigma, *answer.mu.values(), *answer.sigma.values())
    return "" if all(map(math.isfinite, numbers)) else "The model gave no finite number: its files may be damaged."


def told(answer: Answer) -> dict[str, Any]:
    """The score as JSON, or {"error": why there is none}: the others of the request have their scores."""
    problem = problem_of(answer)
    return {"error": problem} if problem or isinstance(answer, str) else to_json(answer)


def to_json(scored: Scored) -> dict[str, Any]:
    """As HTTP and the command line say it. The scale is that of the overall score."""
    return {
        "overall": scored.overall,
        "overall_sigma": scored.overall_sigma,
        "scale": [scored.low, scored.high],
        "mu": scored.mu,
        "sigma": scored.sigma,
    }
