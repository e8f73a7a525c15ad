"""Results as JSON documents, the same for the command line, pages and exports."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoring.stats import notes
from scoring.stats.jsonout import Rows, flag_cells, name_cells, number_cells, text_cells
from scoring.stats.mos import MosResult


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
    if scored.bias_error is not None and scored.inconsistency_error is not None:
        columns["bias_error"] = number_cells(scored.bias_error)
        columns["inconsistency_error"] = number_cells(scored.inconsistency_error)
    return Rows(columns)
