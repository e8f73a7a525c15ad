"""A table of triples, all at once: agreement, intervals and the cut, pooled and by task, and what must be said then."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.stats.bootstrap import Bootstrap, bootstrap
from scoring.stats.correlate import HIGH, LOW, Correlation, FisherMean, correlation, fisher_mean
from scoring.stats.cut import PERFECT, THRESHOLD, Cut, cut
from scoring.stats.grouped import Flags
from scoring.stats.table import Triples


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """The scale's integer ends, the cut, and the bootstrap."""

    low: int = LOW
    high: int = HIGH
    threshold: float = THRESHOLD
    perfect: float = PERFECT
    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Part:
    """Figures of some triples."""

    correlation: Correlation
    bootstrap: Bootstrap
    cut: Cut


@dataclass(frozen=True, slots=True)
class Calibration:
    """``pooled`` over all triples; ``tasks`` in the table's order and their Fisher mean, none without such a column."""

    table: Triples
    settings: CalibrationSettings
    pooled: Part
    tasks: list[Part]
    mean: FisherMean | None


def calibrate(table: Triples, settings: CalibrationSettings | None = None) -> Calibration:
    """Everything that ``stats correlate`` prints. Raises ValueError for a scale that is none."""
    settings = settings or CalibrationSettings()
    pooled = _part(table, np.ones(table.human.size, dtype=bool), settings)
    if table.tasks is None:
        return Calibration(table, settings, pooled, [], None)
    tasks = [_part(table, table.task == task, settings) for task in range(len(table.tasks))]
    found = [part.correlation for part in tasks]
    mean = fisher_mean(
        np.array([one.pcc for one in found]), np.array([one.n for one in found]), confidence=settings.confidence
    )
    return Calibration(table, settings, pooled, tasks, mean)


def _part(table: Triples, rows: Flags, settings: CalibrationSettings) -> Part:
    human, scorer, confidence = table.human[rows], table.scorer[rows], settings.confidence
    return Part(
        correlation(human, scorer, low=settings.low, high=settings.high, confidence=confidence),
        bootstrap(
            human,
            scorer,
            None if table.source is None else table.source[rows],
            resamples=settings.resamples,
            seed=settings.seed,
            confidence=confidence,
        ),
        cut(human, scorer, threshold=settings.threshold, perfect=settings.perfect, confidence=confidence),
    )


def describe(settings: CalibrationSettings) -> dict[str, Any]:
    """The settings in force as a JSON object, with the rules in words."""
    return {
        "scale": [settings.low, settings.high],
        "confidence": settings.confidence,
        "pcc_fisher": "Fisher's z, of triples taken one by one",
        "intervals": "percentile bootstrap of source images, drawn whole; without the column source, of triples",
        "resamples": settings.resamples,
        "seed": settings.seed,
        "bias": "mean of scorer minus human",
        "levels": "scores rounded to the nearest integer, halves up",
        "constant": "always the mean of people, on the same triples",
        "cut": f"drop scorer >= {settings.threshold:g}; right where human >= {settings.perfect:g}; Wilson intervals",
        "tasks_mean": "Fisher mean of the tasks' PCC, weights n - 3",
    }


def warnings(result: Calibration) -> list[str]:
    """Sentences about what limits the figures, pooled first."""
    clusters = "triples" if result.table.source is None else "source images"
    found = list(_warnings(result.pooled, result.settings, clusters))
    if result.table.tasks is not None:
        for name, part in zip(result.table.tasks.to_pylist(), result.tasks, strict=True):
            found += [f"{name}: {sentence}" for sentence in _warnings(part, result.settings, clusters)]
    return found


def _warnings(part: Part, settings: CalibrationSettings, clusters: str) -> Iterator[str]:
    found = part.correlation
    if math.isnan(found.pcc):
        yield f"no correlation: {found.reasons['pcc']}"
    if found.outside:
        scale = f"{settings.low} to {settings.high}"
        yield f"scores off the scale {scale}: {found.outside}; confusion and histograms count them at its ends"
    if found.mae > found.constant.mae:
        yield f"always saying {found.constant.value:.2f}, the mean of people, would be closer to them than the scorer"
    if part.bootstrap.few_clusters:
        yield f"only {part.bootstrap.clusters} {clusters} to draw from: bootstrap intervals tend to be too narrow"
