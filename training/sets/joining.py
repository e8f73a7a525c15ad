"""What people said in several studies, joined: final ranks, verdicts and opinion scores of each case's candidates.

Studies that ask for the same dimension are one panel: their annotators' marks are pooled, case by case.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from annotation.answers import EXCUSES, letters
from annotation.models import Judgement, Mark, Study
from annotation.protocols import PAIRWISE, RANKING, RATING
from scoring.results import number
from scoring.stats.agreement import agreement
from scoring.stats.mos import mean_opinion_scores
from scoring.stats.ranks import rank_groups
from scoring.stats.table import Rankings, Ratings
from scoring.tables import ANNOTATOR, CHUNK, annotator_name, counted_marks
from training.rewards.groups import Dimension
from training.sets.wishes import DROP, Wish

BAD = ("broken", "unsafe", "cannot_judge")  # flags of a single image
DIGITS = 6  # of ranks and scores: the same marks in another order give the same figures

Cell = tuple[int, str]  # a case and a dimension
Pair = tuple[int, int]  # candidates' keys, the smaller first


@dataclass
class Said:
    """Of one case in one dimension, by candidate key. ``low`` and ``high``: the interval of each MOS, where known."""

    ranks: dict[int, float] = field(default_factory=dict)
    both_bad: set[Pair] = field(default_factory=set)  # ties of which everybody said so
    pairs: dict[Pair, int] = field(default_factory=dict)
    mos: dict[int, float] = field(default_factory=dict)
    low: dict[int, float] = field(default_factory=dict)
    high: dict[int, float] = field(default_factory=dict)


@dataclass
class Joined:
    """``left_out``: counts by reason. ``flagged``: candidates that half or more of their judges called unusable."""

    dimensions: tuple[Dimension, ...]
    said: dict[int, dict[str, Said]]
    flagged: set[int]
    left_out: Counter[str]
    raters: dict[str, int]
    agreement: dict[str, dict[str, Any]]


# Dimensions ----------------------------------------------------------------------------------------------------------


def dimensions_of(studies: Sequence[Study], wish: Wish) -> tuple[Dimension, ...]:
    """The dimensions of the studies with people's scale. Raises ValidationError where two scales cannot be joined.

    The scale is that of the ratings, where there are any: shelves of a ranking and sides of a pair are no scale.
    """
    found: dict[str, tuple[bool, Dimension]] = {}
    for study in studies:
        rated = study.protocol.kind == RATING
        for one in study.protocol.dimensions:
            if wish.dimensions and one.key not in wish.dimensions:
                continue
            mine = Dimension(one.key, one.label, float(one.low), float(one.high))
            before = found.get(one.key)
            if before and before[0] and rated and (before[1].low, before[1].high) != (mine.low, mine.high):
                message = _(
                    "These studies rate “%(name)s” on two scales: %(a)g to %(b)g and %(c)g to %(d)g. "
                    "Make a training set of each."
                )
                values = {"name": one.label, "a": before[1].low, "b": before[1].high, "c": mine.low, "d": mine.high}
                raise ValidationError(message % values)
            if before is None or (rated and not before[0]):
                found[one.key] = (rated, mine)
    _check_zscore(found.values(), wish)
    return tuple(dimension for _rated, dimension in found.values())


def _check_zscore(found: Iterable[tuple[bool, Dimension]], wish: Wish) -> None:
    wrong = [one.label for rated, one in found if rated and (one.low, one.high) != (0, 100)]
    if wish.method == "zscore" and wrong:
        message = _("Z-scores lie between 0 and 100, and %(names)s is rated on another scale. Choose another method.")
        raise ValidationError(message % {"names": ", ".join(wrong)})


# Marks ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Marks:
    """Marks of all studies, in tables: ratings by candidate, rankings by (case, item), verdicts by pair."""

    keys: set[str]
    ratings: list[tuple[str, int, str, float]] = field(default_factory=list)
    rankings: list[tuple[str, int, int, str, int, float]] = field(default_factory=list)
    verdicts: list[tuple[str, int, Pair, str, int, float]] = field(default_factory=list)
    bad: dict[tuple[int, str, Pair], bool] = field(default_factory=dict)
    cases: dict[int, int] = field(default_factory=dict)  # of candidates
    left_out: Counter[str] = field(default_factory=Counter)

    def read(self, study: Study, wish: Wish) -> None:
        {RATING: self._read_ratings, RANKING: self._read_rankings, PAIRWISE: self._read_verdicts}[study.protocol.kind](
            study, wish
        )
        excused = Judgement.objects.filter(study=study, flag__in=EXCUSES).standing()
        self.left_out["excused"] += excused.count()

    def _rows(self, study: Study, *names: str, **where: Any) -> Iterator[tuple[Any, ...]]:
        rows = counted_marks(study).filter(dimension__in=self.keys, **where).order_by("id")
        fields = (*ANNOTATOR, "candidate__case", "candidate", "dimension", *names)
        for annotator, simulated, case, candidate, *rest in rows.values_list(*fields).iterator(chunk_size=CHUNK):
            self.cases[candidate] = case
            yield annotator_name(annotator, simulated), case, candidate, *rest

    def _read_ratings(self, study: Study, _wish: Wish) -> None:
        for who, _case, candidate, dimension, score in self._rows(study, "score", score__isnull=False):
            self.ratings.append((who, candidate, dimension, score))

    def _read_rankings(self, study: Study, _wish: Wish) -> None:
        """A ranking by shelves gives scores, too: the anchors without which ranks fix no scale."""
        rows = self._rows(study, "judgement__unit__item", "rank", "score", rank__isnull=False)
        for who, case, candidate, dimension, item, rank, score in rows:
            self.rankings.append((who, case, item, dimension, candidate, rank))
            if score is not None:
                self.ratings.append((who, candidate, dimension, score))

    def _read_verdicts(self, study: Study, wish: Wish) -> None:
        """Two marks a verdict: they lie together, the candidates' ranks."""
        both = self._rows(study, "judgement", "judgement__answer", "rank", rank__isnull=False)
        kept: dict[tuple[int, str], tuple[str, int, list[tuple[int, float]]]] = {}
        bad: set[int] = set()
        dropped: set[int] = set()
        for who, case, candidate, dimension, judgement, answer, rank in both:
            if answer.get("choice") == "both_bad":
                (dropped if wish.both_bad == DROP else bad).add(judgement)
            if judgement in dropped:
                continue
            kept.setdefault((judgement, dimension), (who, case, []))[2].append((candidate, rank))
        self.left_out["both_bad"] += len(dropped)
        for (judgement, dimension), (who, case, sides) in kept.items():
            if len(sides) == 2:
                pair = (min(sides)[0], max(sides)[0])
                key = (case, dimension, pair)
                self.bad[key] = self.bad.get(key, True) and judgement in bad
                self.verdicts += [(who, case, pair, dimension, candidate, rank) for candidate, rank in sides]


def join(studies: Sequence[Study], wish: Wish) -> Joined:
    """Everything that people said in these studies. Raises ValidationError for studies that cannot be joined."""
    dimensions = dimensions_of(studies, wish)
    marks = _Marks({dimension.key for dimension in dimensions})
    for study in studies:
        marks.read(study, wish)
    said: dict[int, dict[str, Said]] = defaultdict(lambda: defaultdict(Said))
    figures: dict[str, dict[str, Any]] = defaultdict(dict)
    threshold = max((study.protocol.agreement for study in studies if study.protocol.kind == RANKING), default=0.5)
    _add_ranks(marks, said, figures, threshold, wish)
    _add_verdicts(marks, said)
    _add_scores(marks, said, figures, wish)
    return Joined(
        dimensions=dimensions,
        said={case: dict(one) for case, one in said.items()},
        flagged=_flagged(studies),
        left_out=marks.left_out,
        raters=_raters(marks),
        agreement=dict(figures),
    )


def _raters(marks: _Marks) -> dict[str, int]:
    names = {row[0] for rows in (marks.ratings, marks.rankings, marks.verdicts) for row in rows}
    simulated = sum(not name.startswith("a") for name in names)
    return {"people": len(names) - simulated, "simulated": simulated}


# Rankings ------------------------------------------------------------------------------------------------------------


def _add_ranks(marks: _Marks, said: Any, figures: Any, threshold: float, wish: Wish) -> None:
    """Mean ranks of each group. A case that was ranked in groups of different candidates has pairs instead: two that
    were never shown together were not compared."""
    members: dict[tuple[int, str], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for _who, case, item, dimension, candidate, _rank in marks.rankings:
        members[case, dimension][item].add(candidate)
    whole = {cell for cell, items in members.items() if len({frozenset(group) for group in items.values()}) == 1}
    ranked = rank_groups(
        Rankings.from_rows(
            (f"{who}@{item}", case if (case, dimension) in whole else -item, dimension, candidate, rank)
            for who, case, item, dimension, candidate, rank in marks.rankings
        ),
        threshold,
    )
    panel, table = ranked.panel, ranked.table
    groups, names = [int(name) for name in table.groups.to_pylist()], table.dimensions.to_pylist()
    candidates = [int(name) for name in table.candidates.to_pylist()]
    _note_concordance(ranked, names, figures)
    marks.left_out["contested"] += int(ranked.contested.sum())
    parts: dict[tuple[int, str], list[dict[int, float]]] = defaultdict(list)
    ends = np.cumsum(panel.sizes)
    for group, (start, end) in enumerate(zip(ends - panel.sizes, ends, strict=True)):
        if ranked.contested[group] and not wish.contested:
            continue
        dimension, name = names[panel.group_dimension[group]], groups[panel.group_name[group]]
        cells = range(int(start), int(end))
        ranks = {candidates[panel.cell_candidate[k]]: round(float(ranked.mean_rank[k]), DIGITS) for k in cells}
        if name > 0:
            said[name][dimension].ranks = ranks
        else:
            parts[marks.cases[next(iter(ranks))], dimension].append(ranks)
    if wish.contested:
        marks.left_out["contested"] = 0
    for (case, dimension), several in parts.items():
        said[case][dimension].pairs |= _together(several)


def _together(groups: Iterable[dict[int, float]]) -> dict[Pair, int]:
    """Outcomes of the pairs that were ranked in one group; groups that disagree are weighed by their rank gaps."""
    gaps: dict[Pair, float] = defaultdict(float)
    for ranks in groups:
        for a, b in combinations(sorted(ranks), 2):
            gaps[a, b] += (ranks[b] - ranks[a]) / (len(ranks) - 1)
    return {pair: _sign(gap) for pair, gap in gaps.items()}


def _sign(value: float) -> int:
    return (value > 1e-9) - (value < -1e-9)


def _note_concordance(ranked: Any, names: list[str], figures: Any) -> None:
    for code, name in enumerate(names):
        here = ranked.panel.group_dimension == code
        known = here & np.isfinite(ranked.kendall_w)
        tau = ranked.tau_b[here & np.isfinite(ranked.tau_b)]
        figures[name] |= {
            "w": number(ranked.kendall_w[known].mean()) if known.any() else None,
            "tau": number(tau.mean()) if tau.size else None,
            "contested": int((ranked.contested & here).sum()),
        }


# Pairs and scores ----------------------------------------------------------------------------------------------------


def _add_verdicts(marks: _Marks, said: Any) -> None:
    """Several verdicts on a pair: the mean rank decides, as in a study's own export."""
    gaps: dict[tuple[int, str, Pair], float] = defaultdict(float)
    for _who, case, pair, dimension, candidate, rank in marks.verdicts:
        gaps[case, dimension, pair] += -rank if candidate == pair[0] else rank
    for (case, dimension, pair), gap in gaps.items():
        said[case][dimension].pairs[pair] = _sign(gap)
        if marks.bad[case, dimension, pair]:
            said[case][dimension].both_bad.add(pair)


def _add_scores(marks: _Marks, said: Any, figures: Any, wish: Wish) -> None:
    if not marks.ratings:
        return
    table = Ratings.from_rows(marks.ratings)
    made = mean_opinion_scores(table, wish.mos_settings)
    panel, scored = made.panel, made.scored
    items, names = [int(name) for name in table.items.to_pylist()], table.dimensions.to_pylist()
    for unit in range(panel.units):
        if (mos := number(scored.mos[unit])) is None:
            marks.left_out["unscored"] += 1
            continue
        candidate = items[panel.unit_item[unit]]
        one = said[marks.cases[candidate]][names[panel.unit_dimension[unit]]]
        one.mos[candidate] = round(mos, DIGITS)
        one.low[candidate], one.high[candidate] = float(scored.low[unit]), float(scored.high[unit])
    for name, agreed in zip(names, agreement(table, "interval").dimensions, strict=True):
        figures[name] |= {"alpha": number(agreed.alpha), "scores": agreed.scores}


# Flags ---------------------------------------------------------------------------------------------------------------


def _flagged(studies: Sequence[Study]) -> set[int]:
    """Candidates that half or more of those who judged them flagged as broken, unsafe or not to be judged."""
    seen: Counter[int] = Counter()
    bad: Counter[int] = Counter()
    for study in studies:
        given = Judgement.objects.filter(study=study).standing().order_by()
        rows = given.values_list("annotator", "flag", "answer", "assignment__order")
        judges: set[tuple[int, int]] = set()
        against: set[tuple[int, int]] = set()
        for annotator, flag, answer, order in rows.iterator(chunk_size=CHUNK):
            judges.update((annotator, candidate) for candidate in order)
            against.update((annotator, candidate) for candidate in _unusable(flag, answer, order))
        seen.update(candidate for _annotator, candidate in judges)
        bad.update(candidate for _annotator, candidate in against)
    return {candidate for candidate, count in bad.items() if 2 * count >= seen[candidate]}


def _unusable(flag: str, answer: Any, order: list[int]) -> list[int]:
    """The candidates that one answer calls unusable: by a flag of the image, or of the answer where it is of one."""
    if len(order) == 1 and flag in BAD:
        return order
    flags = answer.get("flags") if isinstance(answer, dict) else None
    if not isinstance(flags, dict):
        return []
    shown = dict(zip(letters(len(order)), order, strict=True))
    return [shown[letter] for letter, one in flags.items() if one in BAD and letter in shown]


def has_marks(studies: Sequence[Study]) -> int:
    """How many marks the studies have: what a preview would have to read."""
    return Mark.objects.filter(judgement__study__in=studies).counted().count()
