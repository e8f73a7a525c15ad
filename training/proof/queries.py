"""Reads of proofs: the list, a page, its pairs, and the block on other pages."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db.models import Count, QuerySet

from annotation.models import Candidate, Editor, Judgement, StudyState
from training.models import Proof, ProofState, TrainedEditor
from training.posttraining.proof_figures import TIE
from training.proof import showing
from training.proof.plan import Plan
from training.proof.reading import Pair, Said, said
from training.proof.report import Report, notices, report
from webapp.accounts.models import User
from webapp.jobs.models import Job

NEWEST = 3  # proofs on an editor's or a run's page, where each is computed
PAGE = 30  # pairs on a page of them
CLEAREST = 6  # pairs at either end on a proof's page


def proofs() -> QuerySet[Proof]:
    return Proof.objects.select_related(
        "base", "trained", "dataset", "job", "generation", "pairwise__dataset", "ratings__dataset", "created_by"
    )


@dataclass(frozen=True)
class Row:
    """A proof in the list, with how many judgements it has."""

    proof: Proof
    judgements: int


def listed(rows: Sequence[Proof]) -> list[Row]:
    """One query for all of them."""
    keys = [key for row in rows for key in (row.pairwise_id, row.ratings_id) if key]
    mine = Judgement.objects.filter(study__in=keys).standing().order_by().values_list("study")
    counts = dict(mine.annotate(n=Count("id")))
    return [Row(row, counts.get(row.pairwise_id, 0) + counts.get(row.ratings_id, 0)) for row in rows]


# A proof's page ------------------------------------------------------------------------------------------------------


def moving(proof: Proof, found: Said | None = None) -> dict[str, Any]:
    """The part of the page that changes while judgements come. ``report`` is None as long as it is not open."""
    if proof.state != ProofState.OPEN:
        return {"proof": proof, "report": None}
    made = report(proof, found)
    return {"proof": proof, "report": made, "shown": showing.of(made)}


def page_of(proof: Proof) -> dict[str, Any]:
    """With the clearest pairs, where they may be shown."""
    found = said(proof) if proof.state == ProofState.OPEN else None
    context = {**moving(proof, found), "plan": Plan.from_json(proof.settings), "notices": notices(proof)}
    show = found is not None and may_show_pairs(proof, context["report"])
    return {**context, "clearest": _clearest(found) if found and show else None}


def may_show_pairs(proof: Proof, made: Report) -> bool:
    """Pairs with who made what are shown when nobody judges any more: what is seen early is talked about."""
    studies = proof.studies
    return made.progress.is_over or bool(studies and all(study.state == StudyState.CLOSED for study in studies))


@dataclass
class Shown:
    """A pair with its pictures and what people said. ``vote`` is the mean, None where nobody chose."""

    pair: Pair
    base: Candidate
    trained: Candidate
    vote: float | None
    before: float | None
    after: float | None
    votes: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def _clearest(found: Said) -> list[Shown]:
    """The pairs where people prefer the trained editor most, then those where they prefer the base most."""
    vote, gain = found.mean_vote, found.after - found.before

    lean = list(zip(np.nan_to_num(vote - TIE).tolist(), np.nan_to_num(gain).tolist(), strict=True))
    order = sorted(range(len(found.pairs)), key=lambda place: lean[place], reverse=True)
    best = [place for place in order[:CLEAREST] if lean[place] > (0, 0)]
    worst = [place for place in order[::-1][:CLEAREST] if lean[place] < (0, 0)]
    return shown(found, [*best, *worst])


def pairs_page(proof: Proof, start: str) -> dict[str, Any]:
    """The pairs in the order of their cases, from the place that the address names; none while people judge."""
    found = said(proof)
    made = report(proof, found)
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 9 else 0
    first = first if first < len(found.pairs) else 0
    places = list(range(len(found.pairs)))[first : first + PAGE] if may_show_pairs(proof, made) else None
    return {
        "proof": proof,
        "notices": made.notices,
        "pairs": None if places is None else shown(found, places),
        "previous": f"?from={max(0, first - PAGE)}" if first and places is not None else "",
        "next": f"?from={first + PAGE}" if places is not None and first + PAGE < len(found.pairs) else "",
    }


def shown(found: Said, places: Sequence[int]) -> list[Shown]:
    """The pairs at these places, with pictures: one query."""
    chosen = [found.pairs[place] for place in places]
    keys = [key for pair in chosen for key in (pair.base, pair.trained)]
    rows = Candidate.objects.filter(pk__in=keys).select_related("image", "case__source", "case__task", "editor")
    candidates = {row.pk: row for row in rows}
    votes: dict[int, dict[str, int]] = defaultdict(lambda: {"won": 0, "lost": 0, "tie": 0, "both_bad": 0})
    remarks: dict[int, list[str]] = defaultdict(list)
    for vote in found.votes:
        what = "both_bad" if vote.both_bad else {1.0: "won", 0.0: "lost"}.get(vote.value, "tie")
        votes[vote.pair][what] += 1
    for one in found.judgements:
        if one.remark:
            remarks[one.pair].append(one.remark)
    return [
        Shown(
            pair=pair,
            base=candidates[pair.base],
            trained=candidates[pair.trained],
            vote=_known(found.mean_vote[place]),
            before=_known(found.before[place]),
            after=_known(found.after[place]),
            votes=votes[place],
            remarks=remarks[place],
        )
        for place, pair in zip(places, chosen, strict=True)
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


# On the pages of editors and runs ------------------------------------------------------------------------------------


def of_editor(editor: Editor) -> dict[str, Any]:
    """For ``templates/proofs/of_editor.html``: the newest proofs of this trained editor, with their results."""
    return _block(proofs().filter(trained=editor), editor)


def of_job(job: Job) -> dict[str, Any]:
    """The same on a run's page; ``proof_editor`` is None as long as the run has made no editor."""
    made = TrainedEditor.objects.filter(job=job).select_related("editor").first()
    return _block(proofs().filter(job=job), made.editor if made else None)


def _block(rows: QuerySet[Proof], editor: Editor | None) -> dict[str, Any]:
    newest = list(rows.order_by("-pk")[:NEWEST])
    return {"proof_editor": editor, "proof_rows": [(row, moving(row)["report"]) for row in newest]}


# The form ------------------------------------------------------------------------------------------------------------


def annotators() -> QuerySet[User]:
    """Who can judge blind: people who only annotate. An engineer can look up who made an image."""
    return User.objects.filter(is_active=True, is_simulated=False, role="annotator").order_by("username")
