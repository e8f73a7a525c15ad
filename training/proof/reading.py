"""What people and scorers said of a proof's pairs, as tables. A handful of queries, whatever their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from annotation.models import Candidate, Judgement
from scoring.asking.queries import active_scorers
from scoring.models import Judge, Score
from scoring.models.answers import HAS_SCORE
from scoring.stats.grouped import Codes, Floats, ratio, sums
from scoring.tables import annotator_name, counted_marks
from training.models import Proof

TIES = ("tie", "both_bad")


@dataclass(frozen=True, slots=True)
class Pair:
    """Edits of one case with one seed by the base and by the trained editor; keys and UIDs of the candidates."""

    case: int
    case_key: str
    task: str
    source: int
    sha256: str
    seed: int
    base: int
    trained: int
    base_uid: str
    trained_uid: str


@dataclass(frozen=True, slots=True)
class Vote:
    """One judgement of a pair: ``value`` 1 for the trained editor, 0 for the base, ½ for a tie or both bad."""

    pair: int
    annotator: str
    simulated: bool
    value: float
    left: bool  # the trained editor's edit stood on the left
    both_bad: bool
    remark: str


@dataclass(frozen=True, slots=True)
class Rating:
    pair: int
    trained: bool
    annotator: str
    simulated: bool
    score: float
    remark: str


@dataclass(frozen=True)
class Scorer:
    """A judge's differences of scores, trained - base, by pair; NaN where one of the two has none by one version."""

    judge: Judge
    is_active: bool
    difference: Floats


@dataclass(frozen=True)
class Said:
    """Arrays are in the order of ``pairs``, or of ``votes``."""

    pairs: list[Pair]
    votes: list[Vote]
    ratings: list[Rating]

    @property
    def judgements(self) -> list[Vote | Rating]:
        return [*self.votes, *self.ratings]

    @cached_property
    def source(self) -> Codes:
        return np.array([pair.source for pair in self.pairs], dtype=np.int64)

    @cached_property
    def task(self) -> NDArray[np.object_]:
        return np.array([pair.task for pair in self.pairs], dtype=object)

    @cached_property
    def vote_pair(self) -> Codes:
        return np.array([vote.pair for vote in self.votes], dtype=np.int64)

    @cached_property
    def vote(self) -> Floats:
        return np.array([vote.value for vote in self.votes], dtype=np.float64)

    @cached_property
    def left(self) -> Floats:
        return np.array([vote.left for vote in self.votes], dtype=np.float64)

    @cached_property
    def mean_vote(self) -> Floats:
        """Of each pair, NaN where nobody judged it."""
        n = len(self.pairs)
        return ratio(sums(self.vote_pair, self.vote, n), sums(self.vote_pair, np.ones(self.vote.size), n))

    def mean_score(self, *, trained: bool) -> Floats:
        """Mean opinion score of the pairs' edits by one of the two, NaN where it has none."""
        rows = [(one.pair, one.score) for one in self.ratings if one.trained == trained]
        pair = np.array([row[0] for row in rows], dtype=np.int64)
        score = np.array([row[1] for row in rows], dtype=np.float64)
        n = len(self.pairs)
        return ratio(sums(pair, score, n), sums(pair, np.ones(score.size), n))

    @cached_property
    def before(self) -> Floats:
        return self.mean_score(trained=False)

    @cached_property
    def after(self) -> Floats:
        return self.mean_score(trained=True)


def said(proof: Proof) -> Said:
    """Four queries at most. Judgements that do not count (extra, or excused by a flag) are left out."""
    pairs = _pairs(proof)
    places = {
        key: (place, key == pair.trained) for place, pair in enumerate(pairs) for key in (pair.base, pair.trained)
    }
    return Said(pairs, _votes(proof, places), _ratings(proof, places))


def _pairs(proof: Proof) -> list[Pair]:
    if not proof.studies:
        return []
    rows = Candidate.objects.filter(items__study__in=proof.studies, editor__in=[proof.base_id, proof.trained_id])
    names = ("pk", "uid", "editor_id", "case_id", "seed", "case__key", "case__task_id", "case__source_id")
    found: dict[tuple[int, int], dict[int, tuple[int, str]]] = defaultdict(dict)
    about: dict[int, tuple[str, str, int, str]] = {}
    for pk, uid, editor, case, seed, *more, sha in rows.distinct().values_list(*names, "case__source__sha256"):
        found[case, seed][editor] = (pk, str(uid))
        about[case] = (*more, sha)
    pairs = []
    for (case, seed), both in sorted(found.items()):
        if len(both) == 2:
            (base, base_uid), (trained, trained_uid) = both[proof.base_id], both[proof.trained_id]
            key, task, source, sha256 = about[case]
            pairs.append(Pair(case, key, task, source, sha256, seed, base, trained, base_uid, trained_uid))
    return pairs


Places = Mapping[int, tuple[int, bool]]


def _votes(proof: Proof, places: Places) -> list[Vote]:
    if proof.pairwise is None:
        return []
    rows = Judgement.objects.filter(study=proof.pairwise).counted()
    names = ("annotator_id", "annotator__is_simulated", "answer", "assignment__order", "remark")
    votes = []
    for annotator, simulated, answer, order, remark in rows.order_by("pk").values_list(*names):
        choice = answer.get("choice")
        left, right = order
        if choice is None or left not in places:
            continue
        pair, left_is_trained = places[left]
        value = 0.5 if choice in TIES else float(places[left if choice == "A" else right][1])
        name = annotator_name(annotator, simulated)
        votes.append(Vote(pair, name, simulated, value, left_is_trained, choice == "both_bad", remark))
    return votes


def _ratings(proof: Proof, places: Places) -> list[Rating]:
    if proof.ratings is None:
        return []
    marks = counted_marks(proof.ratings).filter(score__isnull=False).order_by("pk")
    names = ("judgement__annotator_id", "judgement__annotator__is_simulated", "candidate_id", "score")
    return [
        Rating(*places[candidate], annotator_name(annotator, simulated), simulated, score or 0.0, remark)
        for annotator, simulated, candidate, score, remark in marks.values_list(*names, "judgement__remark")
        if candidate in places
    ]


def scorers(proof: Proof, pairs: list[Pair]) -> list[Scorer]:
    """Every judge that has scored both edits of a pair by one version of a prompt: by the active scorer's version where
    it is that, or else the newest. Active scorers first. Three queries."""
    if not pairs:
        return []
    active = {(task, row.judge_id): row.version_id for task, row in active_scorers({one.task for one in pairs}).items()}
    inside = Candidate.objects.filter(items__study__in=proof.studies).values("pk")
    rows = Score.objects.filter(HAS_SCORE, candidate__in=inside)
    values: dict[int, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for judge, version, candidate, value in rows.values_list("judge_id", "version_id", "candidate_id", "value"):
        values[judge][candidate][version] = value or 0.0  # there is one, by the status
    found = []
    for asked in Judge.objects.filter(pk__in=values).order_by("pk"):
        mine = values[asked.pk]
        row = [_difference(mine, pair, active.get((pair.task, asked.pk))) for pair in pairs]
        difference = np.array(row, dtype=np.float64)
        if np.isfinite(difference).any():
            found.append(Scorer(asked, any(asked.pk == one for _task, one in active), difference))
    return sorted(found, key=lambda one: not one.is_active)


def _difference(scores: Mapping[int, Mapping[int, float]], pair: Pair, active: int | None) -> float:
    base, trained = scores.get(pair.base, {}), scores.get(pair.trained, {})
    both = set(base) & set(trained)
    if not both:
        return float("nan")
    version = active if active in both else max(both)
    assert version is not None
    return trained[version] - base[version]
