"""A proof's pairs as CSV: what people said of each, and what scorers say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from scoring.writers import csv_line
from training.models import Proof
from training.proof.reading import Said, said, scorers
from training.proof.report import notices

COLUMNS = (
    "case", "task", "source", "seed", "base", "trained", "base_candidate", "trained_candidate",
    "for_trained", "for_base", "ties", "both_bad", "trained_on_left", "vote",
    "ratings_base", "ratings_trained", "mos_base", "mos_trained", "mos_difference",
)  # fmt: skip


def rows_of(proof: Proof) -> Iterator[str]:
    """Line by line; a column for each scorer's difference, trained - base. ``notice`` on each says what is not real."""
    found = said(proof)
    asked = scorers(proof, found.pairs)
    words = " ".join(notices(proof))
    yield csv_line((*COLUMNS, *(f"scorer {one.judge.slug}" for one in asked), "notice"))
    counted = _counts(found)
    for place, pair in enumerate(found.pairs):
        about = (pair.case_key, pair.task, pair.sha256, pair.seed, proof.base.slug, proof.trained.slug)
        before, after = float(found.before[place]), float(found.after[place])
        scores = (_number(before), _number(after), _number(after - before))
        own = [counted[place, name] for name in ("won", "lost", "tie", "both_bad", "left")]
        rated = [counted[place, name] for name in ("rated_base", "rated_trained")]
        differences = [_number(float(one.difference[place])) for one in asked]
        vote = _number(float(found.mean_vote[place]))
        yield csv_line((*about, pair.base_uid, pair.trained_uid, *own, vote, *rated, *scores, *differences, words))


def _counts(found: Said) -> Counter[tuple[int, str]]:
    """By (place of a pair, what). Ties here are not both bad."""
    counted: Counter[tuple[int, str]] = Counter()
    for vote in found.votes:
        what = "both_bad" if vote.both_bad else {1.0: "won", 0.0: "lost"}.get(vote.value, "tie")
        counted[vote.pair, what] += 1
        counted[vote.pair, "left"] += vote.left
    for rating in found.ratings:
        counted[rating.pair, "rated_trained" if rating.trained else "rated_base"] += 1
    return counted


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
