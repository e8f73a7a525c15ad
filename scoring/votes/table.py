"""The judges of a set of votes as lines of a table, on the page and as CSV."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from scoring.models import VoteSet
from scoring.stats.votes import (
    MEASURES,
    NO_ANSWER,
    VOTES,
    Ballots,
    JudgeFigures,
    Rate,
    accuracies,
    constants,
    figures,
    most_frequent,
    random_accuracy,
)
from scoring.votes.showing import CONSTANT_NAMES, VERDICTS, Plot, Shown, number, percent, plot, position, shown, why_of
from scoring.writers import Column, write_csv


class Votes:
    """One set as columns: the judges' names as in the file, their votes as codes, and what could not be read."""

    def __init__(self, vote_set: VoteSet) -> None:
        rows: list[dict[str, Any]] = vote_set.rows
        code: dict[str | None, int] = {vote: number for number, vote in enumerate(VOTES)} | {None: NO_ANSWER}
        self.names: list[str] = list(rows[0]["judges"])
        people = np.array([code[row["human"]] for row in rows])
        judges = np.array([[code[row["judges"][name]] for row in rows] for name in self.names])
        group = np.array([row.get("group", -1 - number) for number, row in enumerate(rows)])  # else each its own
        self.ballots = Ballots(people, judges, group)
        self.unreadable = Counter((name, text) for row in rows for name, text in row.get("unreadable", {}).items())

    def unreadable_of(self, name: str) -> int:
        return sum(count for (judge, _text), count in self.unreadable.items() if judge == name)


@dataclass(frozen=True)
class JudgeRow:
    name: str
    figures: JudgeFigures
    plot: Plot
    headline: Shown
    answered: Shown
    coverage: str
    verdict: str
    tone: str
    measures: list[tuple[Shown, Shown]]
    kappa: Shown
    votes: list[int]
    silent: int
    unreadable: int
    lean: Shown
    gap: Shown


@dataclass(frozen=True)
class Baseline:
    """A judge that looks at nothing."""

    name: str
    measures: list[str]
    is_best: bool
    position: str


def judge_rows(votes: Votes) -> list[JudgeRow]:
    """Most accurate first by the four-way accuracy over all pairs."""
    found = zip(votes.names, figures(votes.ballots), strict=True)
    rows = [_judge_row(name, row, votes) for name, row in found]
    return sorted(rows, key=lambda row: (-row.figures.everywhere["four"].value, row.name))


def _judge_row(name: str, row: JudgeFigures, votes: Votes) -> JudgeRow:
    headline = row.everywhere["four"]
    label, tone = VERDICTS[row.against]
    unreadable = votes.unreadable_of(name)
    return JudgeRow(
        name=name,
        figures=row,
        plot=plot(headline),
        headline=shown(headline),
        answered=shown(row.answered["four"]),
        coverage=percent(row.coverage),
        verdict=str(label),
        tone=tone,
        measures=[(shown(row.everywhere[m]), shown(row.answered[m])) for m in MEASURES],
        kappa=Shown(number(row.kappa.value), "", why_of(row.kappa)),
        votes=list(row.votes),
        silent=votes.ballots.pairs - row.answered_pairs - unreadable,
        unreadable=unreadable,
        lean=shown(row.lean, signed=True),
        gap=shown(row.gap, signed=True),
    )


def baselines(ballots: Ballots) -> list[Baseline]:
    """The four constant judges, then one that votes each of the four alike."""
    always = constants(ballots)
    columns = {m: [*accuracies(always, m).tolist(), random_accuracy(ballots, m)] for m in MEASURES}
    names = [*CONSTANT_NAMES, _("random, each vote alike (expected)")]
    best = most_frequent(ballots)
    return [
        Baseline(str(name), [percent(columns[m][j]) for m in MEASURES], j == best, position(columns["four"][j]))
        for j, name in enumerate(names)
    ]


# CSV -----------------------------------------------------------------------------------------------------------------


def table_csv(vote_set: VoteSet) -> bytes:
    """One line a judge, most accurate first, figures in full; empty where a figure is not defined."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "judges.csv"
        rows = [_cells(row) for row in judge_rows(Votes(vote_set))]
        write_csv(
            path,
            [Column(name, "number", "") for name in (rows[0] if rows else {})],
            [list(row.values()) for row in rows],
        )
        return path.read_bytes()


def _cells(row: JudgeRow) -> dict[str, Any]:
    found = row.figures
    cells: dict[str, Any] = {"judge": row.name, "answered": found.answered_pairs, "coverage": found.coverage}
    for measure in MEASURES:
        cells |= _triple(measure, found.everywhere[measure])
        low, high = found.drawn[measure]
        cells |= {f"{measure}_low_by_source": low, f"{measure}_high_by_source": high}
        cells |= _triple(f"{measure}_answered", found.answered[measure])
    cells |= _triple("lean", found.lean) | _triple("gap", found.gap) | {"kappa": found.kappa.value}
    cells |= {f"votes_{name}": count for name, count in zip(VOTES, row.votes, strict=True)}
    cells |= {"no_answer": row.silent, "unreadable": row.unreadable, "against_best_constant": found.against}
    return {name: "" if isinstance(value, float) and np.isnan(value) else value for name, value in cells.items()}


def _triple(name: str, rate: Rate) -> dict[str, Any]:
    return {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high, f"{name}_pairs": rate.n}
