"""What a study has brought so far: figures for its page, its exports and its live updates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from annotation.models import Candidate, Editor, Study
from annotation.protocols import RATING
from scoring import blocks, tables
from scoring.stats import notes
from scoring.stats.agreement import Agreement, Icc, Kappa, agreement
from scoring.stats.mos import MosResult, MosSettings, mean_opinion_scores
from scoring.stats.pairs import OVERALL_WEIGHTS, Pairs, preference_pairs
from scoring.stats.ranks import RankResult, rank_groups
from scoring.stats.table import Rankings, Ratings

SHOWN = 60  # candidates on a study's page
WEIGHTED = ("quality", "alignment", "preservation")  # the dimensions of the overall score, in the order of its weights


def number(value: float) -> float | None:
    """None for NaN: a figure that does not exist is not a number."""
    return None if np.isnan(value) else float(value)


# Opinion scores -----------------------------------------------------------------------------------------------------


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


def mos_rows(ratings: Ratings, settings: MosSettings) -> list[MosRow]:
    """Scores of all items in all dimensions."""
    return _rows(mean_opinion_scores(ratings, settings))


def _rows(made: MosResult) -> list[MosRow]:
    panel, scored = made.panel, made.scored
    items, dimensions = made.table.items.to_pylist(), made.table.dimensions.to_pylist()
    return [
        MosRow(
            item=items[panel.unit_item[unit]],
            dimension=dimensions[panel.unit_dimension[unit]],
            mos=number(scored.mos[unit]),
            n=int(scored.n[unit]),
            std=number(scored.std[unit]),
            low=number(scored.low[unit]),
            high=number(scored.high[unit]),
        )
        for unit in range(panel.units)
    ]


@dataclass(frozen=True)
class AnnotatorRow:
    name: str
    dimension: str
    ratings: int
    outliers: int
    bias: float | None
    reason: str | None  # why this annotator's ratings do not count


def _annotators(made: MosResult) -> list[AnnotatorRow]:
    panel, reasons = made.panel, notes.reasons(made)
    names, dimensions = made.table.annotators.to_pylist(), made.table.dimensions.to_pylist()
    return [
        AnnotatorRow(
            name=names[panel.rater_annotator[rater]],
            dimension=dimensions[panel.rater_dimension[rater]],
            ratings=int(made.ratings[rater]),
            outliers=int(made.outliers[rater]),
            bias=number(made.bias[rater]),
            reason=reasons[rater],
        )
        for rater in range(panel.raters)
    ]


# Rankings -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairRow:
    """A pair of candidates of a group; ``gap`` is the difference of mean ranks, 0 for a tie."""

    group: str
    dimension: str
    better: str
    worse: str
    gap: float
    contested: bool


def pair_rows(table: Rankings, threshold: float) -> list[PairRow]:
    """All pairs of all groups, ties among them."""
    ranked = rank_groups(table, threshold)
    panel, contested = ranked.panel, ranked.contested
    groups, dimensions = table.groups.to_pylist(), table.dimensions.to_pylist()
    candidates = [table.candidates[code].as_py() for code in panel.cell_candidate]

    def rows(pairs: Pairs) -> list[PairRow]:
        return [
            PairRow(
                group=groups[panel.group_name[panel.cell_group[better]]],
                dimension=dimensions[panel.group_dimension[panel.cell_group[better]]],
                better=candidates[better],
                worse=candidates[worse],
                gap=float(gap),
                contested=bool(contested[panel.cell_group[better]]),
            )
            for better, worse, gap in zip(pairs.better, pairs.worse, pairs.gap, strict=True)
        ]

    decided, ties = preference_pairs(panel.sizes, ranked.mean_rank)
    return [*rows(decided), *rows(ties)]


def contested_groups(study: Study) -> set[tuple[str, str]]:
    """(item, dimension) of the groups whose annotators agree too little."""
    table = tables.rankings(study)
    ranked = rank_groups(table, study.protocol.agreement)
    groups, dimensions = table.groups.to_pylist(), table.dimensions.to_pylist()
    panel = ranked.panel
    return {
        (groups[panel.group_name[group]], dimensions[panel.group_dimension[group]])
        for group in np.flatnonzero(ranked.contested)
    }


@dataclass(frozen=True)
class Concordance:
    """Agreement of rankings in one dimension. ``w`` and ``tau`` are means over the groups where they are defined."""

    dimension: str
    groups: int
    measured: int
    w: float | None
    tau: float | None
    contested: int


def _concordance(ranked: RankResult) -> list[Concordance]:
    rows = []
    for code, name in enumerate(ranked.table.dimensions.to_pylist()):
        here = ranked.panel.group_dimension == code
        known = here & np.isfinite(ranked.kendall_w)
        tau = ranked.tau_b[here]
        rows.append(
            Concordance(
                dimension=name,
                groups=int(here.sum()),
                measured=int(known.sum()),
                w=float(ranked.kendall_w[known].mean()) if known.any() else None,
                tau=float(np.nanmean(tau)) if np.isfinite(tau).any() else None,
                contested=int((ranked.contested & here).sum()),
            )
        )
    return rows


# A study's page -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EditorRow:
    """An editor's figures by dimension, in the order of the protocol, and their weighted sum where it is defined.

    ``values`` are mean opinion scores of its candidates, or its ranking score: mean number of pairwise wins a group.
    """

    editor: Any
    count: int
    values: list[float | None]
    overall: float | None


@dataclass(frozen=True)
class Results:
    kind: str
    dimensions: list[str]
    editors: list[EditorRow]
    agreement: list[tuple[str, Agreement]]
    concordance: list[Concordance]
    annotators: list[AnnotatorRow]
    candidates: list[tuple[Candidate, list[MosRow | None]]]
    warnings: list[str]

    @property
    def has_overall(self) -> bool:
        """Whether some editor has the weighted sum of the three dimensions."""
        return any(row.overall is not None for row in self.editors)


def of_study(study: Study) -> Results:
    """Everything that a study's page shows, from the judgements that count now."""
    return shown(study, compute(study))


def compute(study: Study) -> dict[str, Any]:
    """The same as plain JSON, which can be kept: editors and candidates by their keys. See ``shown``."""
    return _of_ratings(study) if study.protocol.kind == RATING else _of_rankings(study)


def shown(study: Study, found: dict[str, Any]) -> Results:
    """What ``compute`` said, with the rows that it names. Two queries."""
    editors = Editor.objects.in_bulk([row["editor"] for row in found["editors"]])
    known = _candidates([uid for uid, _scores in found["candidates"]])
    return Results(
        kind=study.protocol.kind,
        dimensions=[dimension.label for dimension in study.protocol.dimensions],
        editors=[EditorRow(**{**row, "editor": editors[row["editor"]]}) for row in found["editors"]],
        agreement=[(name, _agreement(row)) for name, row in found["agreement"]],
        concordance=[Concordance(**row) for row in found["concordance"]],
        annotators=[AnnotatorRow(**row) for row in found["annotators"]],
        candidates=[
            (known[uid], [row and MosRow(**row) for row in rows]) for uid, rows in found["candidates"] if uid in known
        ],
        warnings=found["warnings"],
    )


def _agreement(row: dict[str, Any]) -> Agreement:
    return Agreement(**{**row, "icc": Icc(**row["icc"]), "kappa": Kappa(**row["kappa"])})


def _of_ratings(study: Study) -> dict[str, Any]:
    table = tables.ratings(study)
    keys = [dimension.key for dimension in study.protocol.dimensions]
    plain = {(row.item, row.dimension): row for row in mos_rows(table, MosSettings(method="mean", outliers="none"))}
    made = mean_opinion_scores(table)
    names, agreed = table.dimensions.to_pylist(), agreement(table, "interval")
    values = {(item, dimension): row.mos for (item, dimension), row in plain.items() if row.mos is not None}
    by_mean = sorted(
        {item for item, _dimension in plain}, key=lambda uid: (-sum(values.get((uid, key), 0) for key in keys), uid)
    )
    best = [(uid, [plain.get((uid, key)) for key in keys]) for uid in by_mean[:SHOWN]]
    return {
        "editors": _editor_rows(_editors_of(by_mean), keys, values),
        "agreement": [(name, asdict(one)) for name, one in zip(names, agreed.dimensions, strict=True)],
        "concordance": [],
        "annotators": [asdict(row) for row in _annotators(made)],
        "candidates": [(uid, [row and asdict(row) for row in rows]) for uid, rows in best],
        "warnings": [str(warning) for warning in notes.warnings(made)],
    }


def rankings_of(study: Study) -> Rankings:
    """Ranks by (annotator, group, dimension, candidate), from which candidates' places come. Blocks of one case are
    joined; how far people agree is measured within blocks, by ``tables.rankings``."""
    return blocks.rankings(study)


def _of_rankings(study: Study) -> dict[str, Any]:
    table = rankings_of(study)
    keys = [dimension.key for dimension in study.protocol.dimensions]
    ranked = rank_groups(table, study.protocol.agreement)
    in_blocks = tables.rankings(study) if blocks.has_blocks(study) else None  # as they were shown
    within = rank_groups(in_blocks, study.protocol.agreement) if in_blocks else ranked
    names = table.candidates.to_pylist()
    dimensions = table.dimensions.to_pylist()
    panel = ranked.panel
    wins: dict[tuple[str, str], list[float]] = defaultdict(list)
    for cell, won in enumerate(ranked.wins):
        dimension = dimensions[panel.group_dimension[panel.cell_group[cell]]]
        wins[names[panel.cell_candidate[cell]], dimension].append(float(won))
    values = {key: sum(found) / len(found) for key, found in wins.items()}
    return {
        "editors": _editor_rows(_editors_of(names), keys, values),
        "agreement": [],
        "concordance": [asdict(row) for row in _concordance(within)],
        "annotators": [],
        "candidates": [],
        "warnings": blocks.warnings(study, in_blocks) if in_blocks else [],
    }


def _editors_of(uids: Sequence[str]) -> dict[str, int]:
    """The key of each candidate's editor."""
    found: dict[str, int] = {}
    for start in range(0, len(uids), tables.CHUNK):
        rows = Candidate.objects.filter(uid__in=uids[start : start + tables.CHUNK]).order_by("pk")
        found |= {str(uid): editor for uid, editor in rows.values_list("uid", "editor_id")}
    return found


def _candidates(uids: Sequence[str]) -> dict[str, Candidate]:
    rows = Candidate.objects.filter(uid__in=uids).select_related("editor", "case", "image")
    return {str(row.uid): row for row in rows}


def _editor_rows(
    editor_of: dict[str, int], keys: list[str], values: dict[tuple[str, str], float]
) -> list[dict[str, Any]]:
    """Means over each editor's candidates, best first."""
    groups: dict[int, list[str]] = defaultdict(list)
    for uid, editor in editor_of.items():
        groups[editor].append(uid)
    rows = []
    for editor, uids in groups.items():
        means = [_mean([values[uid, key] for uid in uids if (uid, key) in values]) for key in keys]
        overall = _overall(dict(zip(keys, means, strict=True)))
        rows.append({"editor": editor, "count": len(uids), "values": means, "overall": overall})
    return sorted(rows, key=lambda row: -(row["overall"] if row["overall"] is not None else row["values"][0] or 0))


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _overall(means: dict[str, float | None]) -> float | None:
    """0.3 quality + 0.4 alignment + 0.3 preservation, where all three were asked for (EditHF-1M)."""
    parts = [means.get(name) for name in WEIGHTED]
    known = [part for part in parts if part is not None]
    if len(known) < len(WEIGHTED):
        return None
    return sum(weight * part for weight, part in zip(OVERALL_WEIGHTS, known, strict=True))
