"""What a study has brought so far: figures for its page, its exports and its live updates."""

from dataclasses import dataclass

import numpy as np

from scoring.stats.mos import MosSettings, mean_opinion_scores
from scoring.stats.table import Ratings


@dataclass(frozen=True)
class MosRow:
    """The score of one item in one dimension. None where it cannot be computed."""

    item: str
    dimension: str
    mos: float | None
    n: int
    std: float | None
    low: float | None
    high: float | None


def number(value: float) -> float | None:
    """None for NaN: a figure that does not exist is not a number."""
    return None if np.isnan(value) else float(value)


def mos_rows(ratings: Ratings, settings: MosSettings) -> list[MosRow]:
    """Scores of all items in all dimensions."""
    made = mean_opinion_scores(ratings, settings)
    panel, scored = made.panel, made.scored
    return [
        MosRow(
            item=str(ratings.items[panel.unit_item[unit]]),
            dimension=str(ratings.dimensions[panel.unit_dimension[unit]]),
            mos=number(scored.mos[unit]),
            n=int(scored.n[unit]),
            std=number(scored.std[unit]),
            low=number(scored.low[unit]),
            high=number(scored.high[unit]),
        )
        for unit in range(panel.units)
    ]


def of_study(study):
    return {}
