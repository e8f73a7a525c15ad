"""Reference data beside the checkout, and small panels that several tests use."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring.stats.table import Ratings

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"

Row = tuple[str, str, str, float]


def shared_file(name: str) -> Path:
    """A file of the reference data; the test is skipped where the folder is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"reference data not at hand: {name}")
    return path


def nflx() -> tuple[list[Row], dict[str, Any]]:
    """The public NFLX matrix as rows (79 items by 26 annotators), and a reference's results by model."""
    golden = json.loads(shared_file("golden/nflx_public.sureal.json").read_text())
    with shared_file("golden/nflx_public.matrix.csv").open() as file:
        matrix = list(csv.DictReader(file))
    rows = [(s, line["item"], "quality", float(line[s])) for line in matrix for s in golden["subject_ids"]]
    return rows, golden["models"]


def simulated(
    seed: int, per_item: int, annotators: int = 60, items: int = 400
) -> tuple[Ratings, dict[str, float], dict[str, float], dict[str, float]]:
    """A sparse panel from the subject model; ratings, true scores, biases and inconsistencies."""
    rng = np.random.default_rng(seed)
    psi, bias = rng.normal(3, 0.7, items), rng.normal(0, 0.5, annotators)
    spread = rng.lognormal(np.log(0.6), 0.5, annotators)
    rows = [
        (f"a{i}", f"i{j}", "d", psi[j] + bias[i] + spread[i] * rng.normal())
        for j in range(items)
        for i in rng.permutation(annotators)[:per_item]
    ]
    return (
        Ratings.from_rows(rows),
        {f"i{j}": float(psi[j]) for j in range(items)},
        {f"a{i}": float(bias[i]) for i in range(annotators)},
        {f"a{i}": float(spread[i]) for i in range(annotators)},
    )
