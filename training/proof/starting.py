"""Beginning a proof: which cases, what is refused, and the job that makes what is missing."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from annotation.assign import seeded
from annotation.models import Case, Dataset, Editor, Split
from training import generation
from training.models import Proof, ProofState, TrainedEditor
from training.proof import services
from training.proof.pairs import Seen, missing, seen_by
from training.proof.plan import MOST_CASES, MOST_PAIRS, MOST_RATERS, MOST_SEEDS, Plan
from webapp.accounts.models import User


@dataclass(frozen=True)
class Wish:
    """What a person asks for. ``split`` empty: any; ``tasks`` empty: all. ``later``: people are added by hand."""

    dataset: Dataset
    cases: int
    split: str = ""
    tasks: Sequence[str] = ()
    seeds: int = 1
    raters: int = 3
    pairwise: bool = True
    ratings: bool = True
    people: Sequence[User] = field(default_factory=tuple)
    later: bool = False


@transaction.atomic
def start_proof(*, base: Editor, trained: Editor, wish: Wish, by: User | None, seed: int | None = None) -> Proof:
    """A proof whose images are being made, or that is open at once where none is missing. Raises ValidationError, by
    field of the form; then nothing is begun. ``seed`` draws the cases."""
    _check(base, trained, wish)
    card = TrainedEditor.objects.filter(editor=trained).select_related("job").first()
    run = card.job if card else None
    plan = _plan(wish, seen_by(card), secrets.randbits(32) if seed is None else seed)
    proof = Proof(base=base, trained=trained, dataset=wish.dataset, job=run, settings=plan.to_json(), created_by=by)
    proof.full_clean()
    without = [editor for editor in (base, trained) if missing(editor, plan)]
    if without:
        proof.generation = generation.start_generation(
            dataset=wish.dataset, editors=without, seeds=plan.seeds, only=plan.cases, by=by
        )
    proof.save()
    begun = services.advance(key=proof.pk)
    if begun.state == ProofState.STOPPED:
        raise ValidationError(begun.message)
    return begun


def _check(base: Editor, trained: Editor, wish: Wish) -> None:
    problems: dict[str, str] = {}
    if base == trained:
        problems["base"] = _("These are the same editor twice. Choose the one that it is compared with.")
    if not 1 <= wish.cases <= MOST_CASES:
        problems["cases"] = _("Choose 1 to %(most)d cases.") % {"most": MOST_CASES}
    if not 1 <= wish.seeds <= MOST_SEEDS:
        problems["seeds"] = _("Choose 1 to %(most)d seeds.") % {"most": MOST_SEEDS}
    if not problems and wish.cases * wish.seeds > MOST_PAIRS:
        problems["cases"] = _("That is more than %(most)d pairs. Choose fewer cases or seeds.") % {"most": MOST_PAIRS}
    if not (wish.pairwise or wish.ratings):
        problems["pairwise"] = _("Ask for choices, for ratings, or for both.")
    if not 1 <= wish.raters <= MOST_RATERS:
        problems["raters"] = _("Choose 1 to %(most)d raters.") % {"most": MOST_RATERS}
    elif words := _people(wish):
        problems["people"] = words
    if problems:
        raise ValidationError(problems)


def _people(wish: Wish) -> str:
    """Why these people cannot judge; empty: they can."""
    if seeing := [user.username for user in wish.people if user.is_engineer]:
        return _(
            "%(names)s can look up who made an image, so it would not be blind. Choose people who only annotate."
        ) % {"names": ", ".join(seeing)}
    if not wish.people and not wish.later:
        return _("Choose who judges, or say that you add people later.")
    if not wish.later and len(set(wish.people)) < wish.raters:
        return _("Every item is judged by %(raters)d different people, and %(people)d are chosen.") % {
            "raters": wish.raters,
            "people": len(set(wish.people)),
        }
    return ""


def _plan(wish: Wish, seen: Seen, seed: int) -> Plan:
    """Cases drawn by chance: none whose source image the training learned from, and those that it was looked at with
    only where there are too few others."""
    rows = Case.objects.filter(dataset=wish.dataset).order_by("pk")
    if wish.split:
        rows = rows.filter(split=wish.split)
    if wish.tasks:
        rows = rows.filter(task__in=wish.tasks)
    known = list(rows.values_list("pk", "key", "source__sha256"))
    free = [row for row in known if row[2] not in seen.learned]
    if len(free) < wish.cases:
        raise ValidationError({"cases": _too_few(wish, len(free), len(known) - len(free))})
    seeded("proof", seed).shuffle(free)
    free.sort(key=lambda row: row[2] in seen.looked)
    chosen = free[: wish.cases]
    return Plan(
        cases=tuple(sorted(pk for pk, _key, _source in chosen)),
        seeds=wish.seeds,
        raters=wish.raters,
        pairwise=wish.pairwise,
        ratings=wish.ratings,
        people=tuple(user.pk for user in wish.people),
        split=wish.split,
        tasks=tuple(wish.tasks),
        looked=sum(source in seen.looked for _pk, _key, source in chosen),
        known=seen.known,
    )


def _too_few(wish: Wish, free: int, used: int) -> str:
    about = {"name": wish.dataset.name, "part": Split(wish.split).label if wish.split else _("any"), "n": free}
    if used:
        words = _(
            "“%(name)s” (part: %(part)s) has %(n)d cases for this; the source images of %(used)d others were used in "
            "the training, which proves nothing. Choose fewer cases, another part or another data set."
        )
        return words % {**about, "used": used}
    if not free:
        return _("“%(name)s” has no cases of this part and these tasks. Choose others.") % about
    return _("“%(name)s” (part: %(part)s) has only %(n)d cases of these tasks. Choose fewer.") % about
