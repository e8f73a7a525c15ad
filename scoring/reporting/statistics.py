"""Agreement, and two methods of scoring beside each other, for a study's report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext as _

from annotation.models import Item, Study
from annotation.protocols import RATING
from scoring import tables
from scoring.boards.figure import Table, Value
from scoring.results import rankings_of
from scoring.stats import notes
from scoring.stats.agreement import agreement as agreement_of
from scoring.stats.grouped import Floats
from scoring.stats.methods import RejectedAnnotator, side_by_side
from scoring.stats.mos import MosResult
from scoring.stats.ranks import rank_groups


@dataclass(frozen=True)
class Methods:
    words: list[str]
    compared: Table
    left_out: Table


def methods(study: Study) -> Methods:
    """The papers' z-score MOS and ``corrected``: how alike they order the candidates, and whom each leaves out."""
    labels = {one.key: one.label for one in study.protocol.dimensions}
    found = side_by_side(tables.ratings(study))
    rows: list[list[Value]] = [
        [
            labels.get(one.dimension, one.dimension),
            one.items,
            _plain(one.rank_correlation),
            _width(found.zscore, place),
            _width(found.corrected, place),
        ]
        for place, one in enumerate(found.dimensions)
    ]
    columns = [
        _("Dimension"), _("Candidates"), _("Rank correlation"),
        _("Mean half interval, z-score (0–100)"), _("Mean half interval, corrected"),
    ]  # fmt: skip
    left = [
        *_left(_("z-score"), found.zscore_rejected, labels),
        *_left(_("corrected"), found.corrected_rejected, labels),
    ]
    words = [
        _(
            "z-score: each annotator’s scores are standardised, outliers are left out, and the mean is put on 0 to 100 "
            "(EditHF-1M). corrected: scores freed of each annotator’s bias and weighed by their consistency "
            "(ITU-T P.910, repaired for sparse panels); it leaves nobody out."
        ),
        *notes.warnings(found.zscore),
    ]
    return Methods(words, Table(columns, rows), Table([_("Method"), _("Annotator"), _("Dimension"), _("Reason")], left))


def _left(method: str, rejected: Iterable[RejectedAnnotator], labels: dict[str, str]) -> list[list[Value]]:
    return [[method, one.annotator, labels.get(one.dimension, one.dimension), one.reason] for one in rejected]


def _width(made: MosResult, dimension: int) -> float | None:
    """Half the mean width of the 95 % intervals of a dimension's items."""
    rows = made.panel.unit_dimension == dimension
    return _mean((made.scored.high[rows] - made.scored.low[rows]) / 2)


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def agreement(study: Study) -> tuple[list[str], Table]:
    """Agreement by dimension, and how many items are contested or were decided by a senior."""
    contested = Item.objects.filter(study=study, is_contested=True).count()
    decided = study.adjudications.values("item").distinct().count()
    words = [
        _("Contested items: %(n)d, of which a senior has decided %(decided)d; decisions stand beside the judgements.")
        % {"n": contested, "decided": decided}
    ]
    return words, _of_scores(study) if study.protocol.kind == RATING else _of_orders(study)


def _of_scores(study: Study) -> Table:
    table = tables.ratings(study)
    labels = {one.key: one.label for one in study.protocol.dimensions}
    found, ordinal = agreement_of(table, "interval"), agreement_of(table, "ordinal")
    names = table.dimensions.to_pylist()
    rows: list[list[Value]] = [
        [
            labels.get(name, name), _plain(one.alpha), _plain(order.alpha),
            _plain(one.icc.single), _plain(one.icc.average), _plain(one.kappa.mean),
        ]
        for name, one, order in zip(names, found.dimensions, ordinal.dimensions, strict=True)
    ]  # fmt: skip
    columns = [
        _("Dimension"), _("Krippendorff’s α, interval"), _("α, ordinal"), "ICC(2,1)", "ICC(2,k)", _("Weighted κ"),
    ]  # fmt: skip
    return Table(columns, rows, 2)


def _of_orders(study: Study) -> Table:
    ranked = rank_groups(rankings_of(study), study.protocol.agreement)
    labels = {one.key: one.label for one in study.protocol.dimensions}
    rows: list[list[Value]] = []
    for code, name in enumerate(ranked.table.dimensions.to_pylist()):
        here = ranked.panel.group_dimension == code
        w, tau = _mean(ranked.kendall_w[here]), _mean(ranked.tau_b[here])
        rows.append([labels.get(name, name), int(here.sum()), w, tau, int((ranked.contested & here).sum())])
    return Table([_("Dimension"), _("Groups"), _("Mean W"), _("Mean τ-b"), _("Below the threshold")], rows, 2)
