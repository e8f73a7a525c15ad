"""What the page of one item shows: its candidates, its judgements, and the figures that they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from annotation.answers import EXCUSES, letters
from annotation.models import (
    Adjudication,
    Candidate,
    Check,
    Concern,
    Exclusion,
    Item,
    ItemCandidate,
    Judgement,
    Mark,
    Purpose,
    Unit,
)
from annotation.protocols import RATING, Dimension
from scoring import results
from scoring.reannotation import queries as reannotation
from scoring.reannotation.queries import Agreed
from scoring.results import MosRow
from scoring.stats.mos import MosSettings
from scoring.stats.ranks import rank_groups
from scoring.stats.table import Rankings
from scoring.tables import annotator_name


@dataclass(frozen=True)
class Shown:
    """A candidate under the letter that all pages of its item give it; who made it only where ``is_named``.

    The letters follow the candidates' random UIDs, so that they tell nothing of the editors.
    """

    letter: str
    candidate: Candidate
    is_named: bool

    @property
    def label(self) -> str:
        if self.candidate.control:
            return f"{self.letter}: {self.candidate.get_control_display()}"
        return f"{self.letter}: {self.candidate.editor.name}" if self.is_named else self.letter


@dataclass(frozen=True)
class Decision:
    """A senior's decision in words that a table can hold: a cell for each candidate of the page's columns."""

    row: Adjudication
    cells: list[float | None]


@dataclass(frozen=True)
class RankRow:
    judgement: Judgement
    name: str
    why_not: str
    cells: list[float | None]


@dataclass(frozen=True)
class Question:
    """One dimension of an item. A rating has ``mos``; a ranking has ``columns``, ``ranks``, ``means`` and ``pairs``."""

    dimension: Dimension
    agreed: Agreed | None
    is_low: bool
    decisions: list[Decision]
    mos: MosRow | None = None
    columns: list[Shown] = field(default_factory=list)
    ranks: list[RankRow] = field(default_factory=list)
    means: list[float | None] = field(default_factory=list)
    pairs: list[tuple[Shown, Shown, float]] = field(default_factory=list)


@dataclass(frozen=True)
class JudgementRow:
    """``why_not``: why it does not count; empty where it does. ``scores`` in the order of the protocol.

    ``dimension``: what the judgement was about, where an item's dimensions are judged apart.
    """

    judgement: Judgement
    name: str
    dimension: str
    why_not: str
    scores: list[float | None]
    checks: list[Check]
    concerns: list[Concern]


class ItemPage:
    """Everything about one item; each part costs one or two queries, whatever the size of the study."""

    def __init__(self, item: Item, *, names: bool) -> None:
        self.item, self.study, self.names = item, item.study, names

    @cached_property
    def is_rating(self) -> bool:
        return self.study.protocol.kind == RATING

    @cached_property
    def units(self) -> list[Unit]:
        return list(self.item.units.order_by("purpose", "id"))

    @property
    def purposes(self) -> list[str]:
        """What else than live work the item is for."""
        found = {unit.purpose: unit.get_purpose_display() for unit in self.units}
        return [label for purpose, label in found.items() if purpose != Purpose.LIVE]

    @property
    def is_live(self) -> bool:
        return any(unit.purpose == Purpose.LIVE for unit in self.units)

    @cached_property
    def candidates(self) -> list[Shown]:
        rows = ItemCandidate.objects.filter(item=self.item).select_related("candidate__editor", "candidate__image")
        found = sorted((row.candidate for row in rows), key=lambda candidate: candidate.uid)
        return [Shown(*one, self.names) for one in zip(letters(len(found)), found, strict=True)]

    @property
    def edits(self) -> list[Shown]:
        """The candidates that an editor made."""
        return [one for one in self.candidates if not one.candidate.control]

    @cached_property
    def decisions(self) -> list[Adjudication]:
        return list(reannotation.decisions(self.study, [self.item.pk]))

    @cached_property
    def excluded(self) -> set[int]:
        return set(Exclusion.objects.filter(study=self.study, lifted_at=None).values_list("annotator", flat=True))

    def why_not(self, judgement: Judgement) -> str:
        """In words why a judgement is left out of the figures, as MarkQuerySet.counted leaves it out."""
        if judgement.unit.purpose != Purpose.LIVE:
            return str(judgement.unit.get_purpose_display())
        if judgement.is_extra:
            return _("extra: late")
        if judgement.flag in EXCUSES:
            return str(judgement.get_flag_display())
        return _("annotator excluded") if judgement.annotator_id in self.excluded else ""

    @cached_property
    def questions(self) -> list[Question]:
        return self._rated() if self.is_rating else self._ranked()

    @property
    def low(self) -> set[str]:
        """The dimensions on which people disagree."""
        return {question.dimension.key for question in self.questions if question.is_low}

    def was_decided_by(self, user_pk: int) -> bool:
        """Whether this person has decided on everything that is in dispute; on all dimensions if nothing is."""
        mine = {row.dimension for row in self.decisions if row.by_id == user_pk}
        return (self.low or {dimension.key for dimension in self.study.protocol.dimensions}) <= mine

    def order_of(self, judgement: Judgement) -> list[tuple[str, Shown]]:
        """The candidates under the letters that the annotator saw."""
        of, order = {one.candidate.pk: one for one in self.candidates}, judgement.assignment.order
        return [(letter, of[key]) for letter, key in zip(letters(len(order)), order, strict=True) if key in of]

    # Ratings

    def _rated(self) -> list[Question]:
        table = reannotation.ratings_of(reannotation.counted(self.study, [self.item.pk]))
        plain = {row.dimension: row for row in results.mos_rows(table, MosSettings(method="mean", outliers="none"))}
        found = {one.dimension: one for one in reannotation.of_ratings(self.study, table)}
        return [
            Question(one, found.get(one.key), self._is_low(found.get(one.key)), self._decided(one, self.edits),
                     mos=plain.get(one.key))
            for one in self.study.protocol.dimensions
        ]  # fmt: skip

    # Rankings

    def _ranked(self) -> list[Question]:
        table = reannotation.rankings_of(reannotation.counted(self.study, [self.item.pk]))
        ranked = rank_groups(table, self.study.protocol.agreement)
        found = {one.dimension: one for one in reannotation.of_rankings(ranked)}
        names, dimensions, panel = table.candidates.to_pylist(), table.dimensions.to_pylist(), ranked.panel
        means: dict[str, dict[int, float]] = defaultdict(dict)
        for cell, mean in enumerate(ranked.mean_rank):
            dimension = dimensions[panel.group_dimension[panel.cell_group[cell]]]
            means[dimension][int(names[panel.cell_candidate[cell]])] = float(mean)
        marks, pairs = self._marks(), self._pairs(table)
        return [
            self._question(one, found.get(one.key), means[one.key], marks[one.key], pairs[one.key])
            for one in self.study.protocol.dimensions
        ]

    def _question(self, dimension: Dimension, agreed: Agreed | None, means: dict[int, float], marks: list[Mark],
                  pairs: list[tuple[Shown, Shown, float]]) -> Question:  # fmt: skip
        """Columns go from the best mean rank to the worst; controls, which have none, stand last."""
        columns = sorted(self.candidates, key=lambda one: (means.get(one.candidate.pk, float("inf")), one.letter))
        rows: dict[int, dict[int, Mark]] = defaultdict(dict)
        for mark in marks:
            rows[mark.judgement_id][mark.candidate_id] = mark
        return Question(
            dimension=dimension,
            agreed=agreed,
            is_low=self._is_low(agreed),
            decisions=self._decided(dimension, columns),
            columns=columns,
            ranks=[self._rank_row(list(given.values()), columns) for given in rows.values()],
            means=[means.get(one.candidate.pk) for one in columns],
            pairs=pairs,
        )

    def _rank_row(self, marks: list[Mark], columns: list[Shown]) -> RankRow:
        judgement = marks[0].judgement
        ranks = {mark.candidate_id: mark.rank for mark in marks}
        cells = [ranks.get(one.candidate.pk) for one in columns]
        return RankRow(judgement, _name(judgement), self.why_not(judgement), cells)

    def _marks(self) -> dict[str, list[Mark]]:
        """All ranks of live work by dimension, those that do not count too."""
        live = Mark.objects.filter(judgement__unit__item=self.item, judgement__unit__purpose=Purpose.LIVE)
        rows = live.filter(rank__isnull=False).select_related("judgement__annotator", "judgement__unit").order_by("id")
        found: dict[str, list[Mark]] = defaultdict(list)
        for mark in rows:
            found[mark.dimension].append(mark)
        return found

    def _pairs(self, table: Rankings) -> dict[str, list[tuple[Shown, Shown, float]]]:
        of = {str(one.candidate.pk): one for one in self.candidates}
        found: dict[str, list[tuple[Shown, Shown, float]]] = defaultdict(list)
        for row in results.pair_rows(table, self.study.protocol.agreement):
            found[row.dimension].append((of[row.better], of[row.worse], row.gap))
        return found

    # Both

    def _is_low(self, found: Agreed | None) -> bool:
        return found is not None and found.is_low(self.study.protocol.agreement)

    def _decided(self, dimension: Dimension, columns: Iterable[Shown]) -> list[Decision]:
        uids = [str(one.candidate.uid) for one in columns]
        made = [(row, reannotation.places(row)) for row in self.decisions if row.dimension == dimension.key]
        return [Decision(row, [places.get(uid) for uid in uids]) for row, places in made]

    def rows(self, judgements: Sequence[Judgement]) -> list[JudgementRow]:
        """One page of judgements (``judgements_of``) with what stands beside them."""
        people = {judgement.annotator_id for judgement in judgements}
        concerns: dict[int, list[Concern]] = defaultdict(list)
        for concern in Concern.objects.filter(study=self.study, annotator__in=people).order_by("id"):
            concerns[concern.annotator_id].append(concern)
        labels = {dimension.key: dimension.label for dimension in self.study.protocol.dimensions}
        rows = []
        for judgement in judgements:
            scores = {mark.dimension: mark.score for mark in judgement.marks.all()}
            row = JudgementRow(
                judgement=judgement,
                name=_name(judgement),
                dimension=labels.get(judgement.unit.dimension, ""),
                why_not=self.why_not(judgement),
                scores=[scores.get(key) for key in labels] if self.is_rating else [],
                checks=list(judgement.checks.all()),
                concerns=concerns[judgement.annotator_id],
            )
            rows.append(row)
        return rows


def judgements_of(item: Item) -> QuerySet[Judgement]:
    marks = Prefetch("marks", Mark.objects.order_by("id"))
    return (
        Judgement.objects.filter(unit__item=item).select_related("annotator", "unit").prefetch_related(marks, "checks")
    )


def _name(judgement: Judgement) -> str:
    return annotator_name(judgement.annotator_id, judgement.annotator.is_simulated)
