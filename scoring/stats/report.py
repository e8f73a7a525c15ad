"""Results as JSON documents, the same for the command line, pages and exports."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scoring.stats import calibration, notes, ranknotes
from scoring.stats.agreement import Agreement, AgreementResult
from scoring.stats.calibration import Calibration, Part
from scoring.stats.correlate import ScaleUse
from scoring.stats.cut import Share
from scoring.stats.jsonout import Rows, flag_cells, name_cells, number_cells, object_cells, text_cells
from scoring.stats.methods import Comparison, RejectedAnnotator
from scoring.stats.mos import MosResult
from scoring.stats.pairs import Pairs, large_gaps_first, preference_pairs
from scoring.stats.ranks import RankResult


def mos_document(result: MosResult) -> dict[str, Any]:
    """Keys settings, counts, warnings, items and annotators (both Rows)."""
    return {
        "settings": notes.describe(result.settings),
        "counts": mos_counts(result),
        "warnings": notes.warnings(result),
        "items": mos_items(result),
        "annotators": mos_annotators(result),
    }


def mos_counts(result: MosResult) -> dict[str, int]:
    """What went in and what was left out."""
    return {
        "ratings": int(result.panel.score.size),
        "annotators": len(result.table.annotators),
        "items": len(result.table.items),
        "dimensions": len(result.table.dimensions),
        "outliers_left_out": result.dropped,
        "annotators_rejected": int(np.count_nonzero(result.rejection.rejected)),
        "repeats_averaged": result.repeats,
        "clipped": result.scored.clipped,
    }


def mos_items(result: MosResult) -> Rows:
    """One row a scored item and dimension."""
    panel, scored = result.panel, result.scored
    return Rows(
        {
            "item": name_cells(result.table.items, panel.unit_item),
            "dimension": name_cells(result.table.dimensions, panel.unit_dimension),
            "mos": number_cells(scored.mos),
            "n": number_cells(scored.n),
            "std": number_cells(scored.std),
            "ci_low": number_cells(scored.low),
            "ci_high": number_cells(scored.high),
        }
    )


def mos_annotators(result: MosResult) -> Rows:
    """One row an annotator and dimension; the subject models add the standard errors of bias and inconsistency."""
    panel, scored = result.panel, result.scored
    columns = {
        "annotator": name_cells(result.table.annotators, panel.rater_annotator),
        "dimension": name_cells(result.table.dimensions, panel.rater_dimension),
        "ratings": number_cells(result.ratings),
        "outliers": number_cells(result.outliers),
        "rejected": flag_cells(result.rejection.rejected),
        "bias": number_cells(result.bias),
        "inconsistency": number_cells(result.inconsistency),
        "used": flag_cells(result.used),
        "reason": text_cells(notes.reasons(result)),
    }
    if scored.model:
        columns["bias_error"] = number_cells(scored.model.bias_error)
        columns["inconsistency_error"] = number_cells(scored.model.inconsistency_error)
    return Rows(columns)


def methods_document(found: Comparison) -> dict[str, Any]:
    """Keys settings, dimensions, rejected, warnings (each but dimensions by method) and items (Rows, both methods)."""
    methods = {"zscore": found.zscore, "corrected": found.corrected}
    panel, table = found.zscore.panel, found.zscore.table
    columns = {
        "item": name_cells(table.items, panel.unit_item),
        "dimension": name_cells(table.dimensions, panel.unit_dimension),
    }
    for name, result in methods.items():
        scored = result.scored
        columns |= {
            f"{name}_mos": number_cells(scored.mos),
            f"{name}_n": number_cells(scored.n),
            f"{name}_ci_low": number_cells(scored.low),
            f"{name}_ci_high": number_cells(scored.high),
        }
    return {
        "settings": {name: notes.describe(result.settings) for name, result in methods.items()},
        "dimensions": [
            {"dimension": one.dimension, "items": one.items, "rank_correlation": _finite(one.rank_correlation)}
            for one in found.dimensions
        ],
        "rejected": {
            "zscore": [_rejected(one) for one in found.zscore_rejected],
            "corrected": [_rejected(one) for one in found.corrected_rejected],
        },
        "warnings": {name: notes.warnings(result) for name, result in methods.items()},
        "items": Rows(columns),
    }


def _rejected(one: RejectedAnnotator) -> dict[str, str]:
    return {"annotator": one.annotator, "dimension": one.dimension, "reason": one.reason}


def rank_document(result: RankResult) -> dict[str, Any]:
    """Keys settings, counts, warnings, groups, pairs (large gaps first) and ties (the last three Rows)."""
    pairs, ties = preference_pairs(result.panel.sizes, result.mean_rank)
    return {
        "settings": ranknotes.describe(result.threshold),
        "counts": {
            "ranks": int(result.table.rank.size),
            "annotators": len(result.table.annotators),
            "groups": len(result.table.groups),
            "dimensions": len(result.table.dimensions),
            "contested": int(np.count_nonzero(result.contested)),
            "pairs": int(pairs.gap.size),
            "ties": int(ties.gap.size),
        },
        "warnings": ranknotes.warnings(result),
        "groups": rank_groups_rows(result),
        "pairs": _pair_rows(result, large_gaps_first(pairs), tied=False),
        "ties": _pair_rows(result, ties, tied=True),
    }


def rank_groups_rows(result: RankResult) -> Rows:
    """One row a group and dimension; ``ranks`` and ``wins`` are objects by candidate, best mean rank first."""
    panel = result.panel
    candidate = name_cells(result.table.candidates, panel.cell_candidate)
    return Rows(
        {
            "group": name_cells(result.table.groups, panel.group_name),
            "dimension": name_cells(result.table.dimensions, panel.group_dimension),
            "kendall_w": number_cells(result.kendall_w),
            "contested": flag_cells(result.contested, known=np.isfinite(result.kendall_w)),
            "ranks": object_cells(panel.sizes, candidate, number_cells(result.mean_rank)),
            "wins": object_cells(panel.sizes, candidate, number_cells(result.wins)),
            "tau_b": number_cells(result.tau_b),
            "rankings": number_cells(result.rankings),
            "complete": number_cells(result.complete),
            "note": text_cells(ranknotes.group_notes(result)),
        }
    )


def _pair_rows(result: RankResult, pairs: Pairs, *, tied: bool) -> Rows:
    panel = result.panel
    group = panel.cell_group[pairs.better]
    columns = {
        "group": name_cells(result.table.groups, panel.group_name[group]),
        "dimension": name_cells(result.table.dimensions, panel.group_dimension[group]),
        "a" if tied else "better": name_cells(result.table.candidates, panel.cell_candidate[pairs.better]),
        "b" if tied else "worse": name_cells(result.table.candidates, panel.cell_candidate[pairs.worse]),
    }
    if not tied:
        columns["gap"] = number_cells(pairs.gap)
    return Rows(columns)


def agreement_document(result: AgreementResult) -> dict[str, Any]:
    """Figures over all ratings at the top, and for each dimension in ``dimensions``. null: not determined."""
    names = result.table.dimensions.to_pylist()
    per_dimension = zip(names, result.dimensions, strict=True)
    return {
        "level": result.level,
        **_figures(result.pooled),
        "dimensions": [{"dimension": name} | _figures(figures) for name, figures in per_dimension],
        "warnings": notes.agreement_warnings(result),
        "settings": notes.AGREEMENT_SETTINGS,
    }


def _figures(found: Agreement) -> dict[str, Any]:
    return {
        "alpha": _finite(found.alpha),
        "icc": _finite(found.icc.single),
        "icc_k": _finite(found.icc.average),
        "icc_items": found.icc.items,
        "icc_annotators": found.icc.annotators,
        "weighted_kappa": _finite(found.kappa.mean),
        "kappa_pairs": found.kappa.defined,
        "pairs": found.kappa.pairs,
        "annotators": found.annotators,
        "items": found.items,
        "shared_items": found.shared,
    }


def correlate_document(result: Calibration) -> dict[str, Any]:
    """Keys settings, counts, warnings, pooled, tasks, and tasks_mean where there are tasks. null: see ``reasons``."""
    names = [] if result.table.tasks is None else result.table.tasks.to_pylist()
    mean, source = result.mean, result.table.source
    return {
        "settings": calibration.describe(result.settings),
        "counts": {
            "triples": int(result.table.human.size),
            "tasks": len(names),
            "source_images": None if source is None else int(source.max()) + 1,
        },
        "warnings": calibration.warnings(result),
        "pooled": part_figures(result.pooled),
        "tasks": [{"task": name} | part_figures(part) for name, part in zip(names, result.tasks, strict=True)],
        "tasks_mean": mean
        and {
            "pcc": _finite(mean.value),
            "interval": _limits(mean.low, mean.high),
            "tasks": mean.used,
            "left_out": mean.left_out,
        },
    }


def part_figures(part: Part) -> dict[str, Any]:
    """All figures of some triples as plain JSON values; ``reasons`` by the path of the figure that is null."""
    found, intervals = part.correlation, part.bootstrap.intervals
    figures = ("pcc", "srcc", "tau_b", "mae", "rmse", "bias", "within_one")
    reasons = {name: why for name, why in found.reasons.items() if name in figures}
    if "pcc_low" in found.reasons:
        reasons["intervals.pcc_fisher"] = found.reasons["pcc_low"]
    reasons |= {f"intervals.{name}": why for name, why in part.bootstrap.reasons.items()}
    reasons |= {f"cut.{name}": why for name, why in part.cut.reasons.items()}
    return {
        "n": found.n,
        "clusters": part.bootstrap.clusters,
        **{figure: _finite(getattr(found, figure)) for figure in figures},
        "intervals": {"pcc_fisher": _limits(found.pcc_low, found.pcc_high)}
        | {figure: _limits(interval.low, interval.high) for figure, interval in intervals.items()},
        "resamples": {figure: interval.usable for figure, interval in intervals.items()},
        "human": _scale_use(found.human),
        "scorer": _scale_use(found.scorer),
        "constant": {
            "value": _finite(found.constant.value),
            "pcc": None,
            "mae": _finite(found.constant.mae),
            "rmse": _finite(found.constant.rmse),
            "within_one": _finite(found.constant.within_one),
        },
        "levels": found.levels.tolist(),
        "confusion": found.confusion.tolist(),
        "human_histogram": found.human_histogram.tolist(),
        "scorer_histogram": found.scorer_histogram.tolist(),
        "outside": found.outside,
        "cut": _cut_figures(part),
        "reasons": reasons | {"constant.pcc": found.reasons["constant_pcc"]},
    }


def _cut_figures(part: Part) -> dict[str, Any]:
    found = part.cut
    shares: dict[str, Share] = {"share": found.share, "precision": found.precision, "recall": found.recall}
    return {
        "threshold": found.threshold,
        "dropped": found.dropped,
        "perfect": found.perfect,
        "both": found.both,
        **{name: _finite(share.value) for name, share in shares.items()},
        "intervals": {name: _limits(share.low, share.high) for name, share in shares.items()},
    }


def _scale_use(found: ScaleUse) -> dict[str, float | None]:
    return {
        "minimum": _finite(found.minimum),
        "maximum": _finite(found.maximum),
        "std": _finite(found.std),
        "levels_used": _finite(found.levels),
    }


def _limits(low: float, high: float) -> list[float] | None:
    return [low, high] if math.isfinite(low) and math.isfinite(high) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
