"""A proof on its way: it waits for its images, then its studies are made and given to the annotators.

Nothing waits for a job. A look by the clock takes up each proof whose images have come. Studies and the word that the
proof is open are written in one transaction under its row, so two looks at once make no second pair of studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog
from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.models import Candidate, Study
from annotation.protocols import PRESETS
from annotation.studies import add_member, create_study
from annotation.units import ItemGroup
from training.models import Proof, ProofState
from training.proof.pairs import Twins, twins
from training.proof.plan import Plan
from webapp.accounts.models import User

PAIRWISE, RATINGS = "pairwise", "hp-score"
TEXTS = {  # a study's name and guidelines by its preset; translated when it is made
    PAIRWISE: (
        gettext_noop("Compare edits %(n)d"),
        gettext_noop(
            "You see a picture, what was asked for, and two edits of it. Choose the edit that carries out the request "
            "better: all of it, as a person would have meant it, with the rest left as it was, and looking good. "
            "Where you see no difference, choose a tie; where neither is of any use, choose both bad. "
            "Zoom in: some differences are small."
        ),
    ),
    RATINGS: (
        gettext_noop("Rate edits %(n)d"),
        gettext_noop(
            "You see a picture, what was asked for, and one edit of it. Give it 0 to 5 by the scale: was the request "
            "carried out, was the rest left as it was, and does it look good? Judge each edit by itself."
        ),
    ),
}

logger = structlog.get_logger()


def look() -> int:
    """Take up every proof that waits. One that fails does not keep the others. Returns how many were looked at."""
    keys = list(Proof.objects.filter(state=ProofState.WAITING).order_by("pk").values_list("pk", flat=True))
    for key in keys:
        try:
            advance(key=key)
        except OperationalError as error:  # the database is away, or locked: the next look
            logger.warning("proof not looked at", proof=key, error=str(error))
        except Exception as error:  # the boundary of the look: the proof's page must say it
            logger.exception("proof failed", proof=key)
            words = _("Unexpected error (%(type)s): %(error)s") % {"type": type(error).__name__, "error": error}
            Proof.objects.filter(pk=key, state=ProofState.WAITING).update(state=ProofState.STOPPED, message=words)
    return len(keys)


@transaction.atomic
def advance(*, key: int, anyway: bool = False) -> Proof:
    """Open the proof if its images are there. Of two at once the second finds what the first has done.

    ``anyway``: with the images that are there, though the job that makes them was stopped or has failed.
    """
    rows = Proof.objects.select_for_update(of=("self",))
    proof = rows.select_related("base", "trained", "dataset", "generation", "created_by").get(pk=key)
    job = proof.generation
    if proof.state != ProofState.WAITING or (job and job.is_active):
        return proof
    if job and job.is_resumable and not anyway:
        return proof  # it can be resumed on its own page; the proof's page says so
    plan = Plan.from_json(proof.settings)
    found = twins(proof, plan)
    if found:
        _open(proof, plan, found)
    else:
        proof.state = ProofState.STOPPED
        proof.message = _(
            "There is no case of which both editors have an image with the same seed, so there is nothing to show."
        )
    proof.full_clean()
    proof.save()
    return proof


def begin_anyway(*, proof: Proof) -> Proof:
    """Show people the pairs that are there. Raises ValidationError where the proof does not wait for a stopped job."""
    job = proof.generation
    if proof.state != ProofState.WAITING or job is None or not job.is_resumable:
        raise ValidationError(_("The images of this proof are being made, or people have them already."))
    return advance(key=proof.pk, anyway=True)


def _open(proof: Proof, plan: Plan, found: list[Twins]) -> None:
    """The names of the studies tell nothing: annotators read them."""
    if plan.pairwise:
        pairs = [(one.case, (one.base, one.trained)) for one in found]
        proof.pairwise = _study(proof, plan, PAIRWISE, pairs)
    if plan.ratings:
        single = [(one.case, (candidate,)) for one in found for candidate in (one.base, one.trained)]
        proof.ratings = _study(proof, plan, RATINGS, single)
    proof.state, proof.message = ProofState.OPEN, ""
    set_aside = Candidate.objects.set_aside().filter(pk__in=[key for one in found for key in (one.base, one.trained)])
    proof.settings = {
        **proof.settings,
        "lost": len(plan.cases) * plan.seeds - len(found),
        "set_aside": {
            "base": set_aside.filter(editor=proof.base).count(),
            "trained": set_aside.filter(editor=proof.trained).count(),
        },
    }


def _study(proof: Proof, plan: Plan, preset: str, items: Sequence[ItemGroup]) -> Study:
    name, guidelines = TEXTS[preset]
    made = create_study(
        name=_(name) % {"n": proof.pk},
        dataset=proof.dataset,
        preset=preset,
        protocol=replace(PRESETS[preset], raters=plan.raters),
        guidelines=_(guidelines),
        by=proof.created_by,
        items=items,
    )
    for user in User.objects.filter(pk__in=plan.people).order_by("pk"):
        add_member(study=made, user=user)
    return made
