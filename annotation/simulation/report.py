"""What a simulation shows: the order of the editors that came back, and which planted annotators were named.

Both are about programs. The order is that of mean scores (or places) by editor, each annotator's brought to mean 0 and
standard deviation 1 within a dimension first; the truth is the editors' mean worth in the same dimensions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from annotation.models import Candidate, Concern, ConcernState, Mark, Study
from annotation.protocols import RATING
from annotation.simulation.annotators import CARELESS, KINDS, Shown
from webapp.accounts.models import SIMULATED

Value = tuple[int, str, str, float]
"""(annotator, editor, dimension, score; higher is better)"""


@dataclass(frozen=True)
class Named:
    """An annotator, what they were made to be, and the concerns that name them."""

    name: str
    kind: str
    concerns: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """``everybody``, ``without``: rank correlation (Spearman) of the recovered order of editors with the true one, with
    all annotators and without those of concern; NaN with fewer than two editors."""

    editors: tuple[str, ...]  # truly best first
    everybody: float
    without: float
    annotators: tuple[Named, ...]

    @property
    def named(self) -> tuple[Named, ...]:
        return tuple(one for one in self.annotators if one.concerns)

    @property
    def missed(self) -> tuple[Named, ...]:
        """Annotators who were planted to do harm, and whom no concern names."""
        return tuple(one for one in self.annotators if one.kind in CARELESS and not one.concerns)

    def lines(self) -> list[str]:
        """The table in text. Its first line says that it is a simulation."""
        best = ", ".join(self.editors)
        head = [
            _("Simulation: nothing here is about people."),
            _("True order of the editors, best first: %(editors)s") % {"editors": best},
            _("Recovered order, rank correlation with the true one"),
            f"  {_('with everybody'):<34}{self.everybody:.3f}",
            f"  {_('without the annotators of concern'):<34}{self.without:.3f}",
            f"{_('Annotator'):<32}{_('planted as'):<12}{_('named by')}",
        ]
        return head + [f"  {one.name:<30}{one.kind:<12}{', '.join(one.concerns) or '–'}" for one in self.annotators]

    def to_json(self) -> dict[str, Any]:
        """For a job's result: short values that its page can show."""
        return {
            "simulation: order of editors recovered, everybody": _number(self.everybody),
            "simulation: without the annotators of concern": _number(self.without),
            "simulation: named": "; ".join(f"{one.name}: {', '.join(one.concerns)}" for one in self.named),
            "simulation: planted and not named": "; ".join(one.name for one in self.missed),
        }


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def report_on(study: Study, truth: Mapping[int, Shown]) -> Report:
    """Read the study as it is now. ``truth``: of its candidates, by their keys."""
    values = list(_values(study))
    concerned = _concerns(study)
    true = true_worth(study, truth)
    people = study.members.filter(user__is_simulated=True).order_by("user__username")
    pairs = people.values_list("user_id", "user__username")
    annotators = tuple(Named(name, kind_of(name), tuple(concerned.get(pk, ()))) for pk, name in pairs)
    return Report(
        editors=tuple(sorted(true, key=lambda editor: (-true[editor], editor))),
        everybody=agreement(true, means_of(values)),
        without=agreement(true, means_of(values, without=set(concerned))),
        annotators=annotators,
    )


def kind_of(name: str) -> str:
    """What a simulated annotator was made to be: their name says it."""
    return next((kind for kind in KINDS if name.startswith(f"{SIMULATED}{kind}-")), "")


def _values(study: Study) -> Iterable[Value]:
    rating = study.protocol.kind == RATING
    marks = Mark.objects.filter(judgement__study=study).counted()
    marks = marks.filter(score__isnull=False) if rating else marks.filter(rank__isnull=False)
    names = ("judgement__annotator_id", "candidate__editor__slug", "dimension", "score" if rating else "rank")
    for annotator, editor, dimension, value in marks.order_by("id").values_list(*names):
        assert value is not None  # by the filter
        yield annotator, editor, dimension, value if rating else -value


def _concerns(study: Study) -> dict[int, list[str]]:
    """The kinds of the concerns about each annotator; those that a person dismissed are none."""
    rows = Concern.objects.filter(study=study).exclude(state=ConcernState.DISMISSED).order_by("kind")
    found: dict[int, list[str]] = defaultdict(list)
    for annotator, kind in rows.values_list("annotator_id", "kind").distinct():
        found[annotator].append(kind)
    return found


def true_worth(study: Study, truth: Mapping[int, Shown]) -> dict[str, float]:
    """The mean of each editor's candidates in the study's dimensions, 0 to 1."""
    editors = dict(Candidate.objects.filter(pk__in=list(truth)).values_list("pk", "editor__slug"))
    dimensions = [dimension.key for dimension in study.protocol.dimensions]
    worth: dict[str, list[float]] = defaultdict(list)
    for key, editor in editors.items():
        worth[editor] += [truth[key].facts.worth(dimension) for dimension in dimensions]
    return {editor: float(np.mean(values)) for editor, values in worth.items()}


def means_of(values: Sequence[Value], without: Collection[int] = ()) -> dict[str, float]:
    """Mean by editor of standardised values. An annotator without spread in a dimension says nothing there."""
    by_scale: dict[tuple[int, str], list[tuple[str, float]]] = defaultdict(list)
    for annotator, editor, dimension, value in values:
        if annotator not in without:
            by_scale[annotator, dimension].append((editor, value))
    found: dict[str, list[float]] = defaultdict(list)
    for rows in by_scale.values():
        scores = np.array([value for _editor, value in rows])
        if spread := float(scores.std()):
            for (editor, _value), score in zip(rows, (scores - scores.mean()) / spread, strict=True):
                found[editor].append(float(score))
    return {editor: float(np.mean(scores)) for editor, scores in found.items()}


def agreement(true: Mapping[str, float], found: Mapping[str, float]) -> float:
    """Spearman's rank correlation over the editors in both, ties sharing their mean rank; NaN for fewer than two, or
    where one side ties all."""
    editors = sorted(true.keys() & found.keys())
    if len(editors) < 2:
        return math.nan
    first, second = (_ranks([side[editor] for editor in editors]) for side in (true, found))
    if not first.std() or not second.std():
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    row = np.array(values)
    below, upto = (row[:, None] > row).sum(axis=1), (row[:, None] >= row).sum(axis=1)
    return np.asarray((below + upto) / 2, dtype=np.float64)
