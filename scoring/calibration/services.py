"""Writes to calibrations: begin one, score a version, look at the held-out part, fit the level, activate."""

from __future__ import annotations

import secrets
from math import inf
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.entry.services import publish_guidelines
from annotation.models import Candidate, Study, Task
from scoring.asking import selections
from scoring.asking.jobs import KINDS, start_scoring
from scoring.calibration.figures import mapped, number, part
from scoring.calibration.parts import is_held_out
from scoring.calibration.queries import notices
from scoring.calibration.triples import people_of
from scoring.models import Activation, Calibration, Judge, LevelMap, Look, Method, Prompt, PromptVersion, UnclearPoint
from scoring.stats import levelmap
from webapp.accounts.models import User
from webapp.jobs.models import Job, State
from webapp.live.streams import publish

MOST = 20_000  # triples of one calibration
LEAST_SOURCES = 2  # one for each part
TRIES = 100  # seeds drawn until the parts are as large as was asked for
NEAR = 0.02  # or as near to it, as a share of the source images


@transaction.atomic
def create_calibration(
    *,
    name: str,
    prompt: Prompt,
    study: Study,
    dimension: str,
    judge: Judge,
    by: User | None,
    method: str = Method.MEAN,
    held_out: float = 0.5,
    version: PromptVersion | None = None,
) -> Calibration:
    """A desk for the prompt against the study's scores in one dimension. Raises ValidationError."""
    if dimension not in {one.key for one in study.protocol.dimensions}:
        raise ValidationError({"dimension": _("The study does not ask for this.")})
    if version is not None and version.prompt_id != prompt.pk:
        raise ValidationError(_("This version is of another prompt."))
    made = Calibration(
        name=name,
        prompt=prompt,
        study=study,
        dimension=dimension,
        method=method,
        judge=judge,
        held_out=held_out,
        seed=secrets.randbits(32),
        current=version or prompt.versions.filter(is_trial=False).order_by("number").first(),
        created_by=by,
    )
    made.full_clean()
    rated = selections.rated(made)
    count = rated.count()
    if not 0 < count <= MOST:
        message = _("People have scored %(count)d candidates of this task in this study. It takes 1 to %(most)d.")
        raise ValidationError(message % {"count": count, "most": MOST})
    sources = list(rated.values_list("case__source__sha256", flat=True).distinct())
    made.seed, made.held_out = _split(prompt, sources, held_out)
    made.save()
    return made


def _split(prompt: Prompt, sources: list[str], share: float) -> tuple[int, float]:
    """Seed and share: those of the prompt's first calibration, so that no picture is held out at one desk and tuned on
    at another; of the first itself, a seed that divides well. Raises ValidationError where a part would be empty."""
    Prompt.objects.select_for_update(no_key=True).get(pk=prompt.pk)  # of two at once the second sees the first
    first = prompt.calibrations.order_by("id").first()
    if first is None:
        return _dividing_seed(sources, share), share
    held = sum(is_held_out(first.seed, source, first.held_out) for source in sources)
    if not 0 < held < len(sources):
        message = _(
            "The prompt has its split from its first calibration, “%(name)s”. By it, one part of these images would be "
            "empty."
        )
        raise ValidationError(message % {"name": first.name})
    return first.seed, first.held_out


def _dividing_seed(sources: list[str], share: float) -> int:
    """A seed that gives both parts about what was asked for, and never nothing: of few sources chance could leave one
    in a part, of which nothing can be said. Raises ValidationError where that cannot be."""
    best: tuple[float, int] | None = None
    for _try in range(TRIES if len(sources) >= LEAST_SOURCES else 0):
        seed = secrets.randbits(32)
        held = sum(is_held_out(seed, source, share) for source in sources)
        if 0 < held < len(sources):
            best = min(best or (inf, 0), (abs(held - share * len(sources)), seed))
            if best[0] <= max(0.5, NEAR * len(sources)):
                break
    if best is None:
        message = _("The scored candidates come from %(count)d source images: too few for a dev and a held-out part.")
        raise ValidationError(message % {"count": len(sources)})
    return best[1]


@transaction.atomic
def use_version(*, calibration: Calibration, version: PromptVersion) -> None:
    """Show this version to everybody who comes to the page."""
    _check_own(calibration, version)
    Calibration.objects.filter(pk=calibration.pk).update(current=version)
    calibration.current = version


def _check_own(calibration: Calibration, *versions: PromptVersion) -> None:
    if any(version.prompt_id != calibration.prompt_id for version in versions):
        raise ValidationError(_("This version is of another prompt."))


def score_versions(
    *,
    calibration: Calibration,
    versions: list[PromptVersion],
    by: User | None,
    most_cost: float | None = None,
    dev_only: bool = False,
    then: dict[str, Any] | None = None,
) -> Job:
    """A job for what is not scored yet; the one that is at it already, where there is one. Raises ValidationError."""
    _check_own(calibration, *versions)
    selection = selections.of_calibration(calibration, dev_only=dev_only)
    wanted = {str(version.uid) for version in versions}
    for job in Job.objects.filter(kind__in=KINDS, state__in=(State.QUEUED, State.RUNNING), parent=None):
        same = job.config["selection"] == selection and job.config["judge"]["slug"] == calibration.judge.slug
        if not then and same and wanted <= set(job.config["versions"]) and job.config["most_cost"] == most_cost:
            return job
    return start_scoring(
        versions=versions, judge=calibration.judge, selection=selection, by=by, most_cost=most_cost, then=then
    )


def look(*, calibration: Calibration, version: PromptVersion, by: User) -> Look:
    """Note that the held-out figures of this version are seen. Raises ValidationError where there is nothing to see."""
    _check_own(calibration, version)
    people = people_of(calibration)
    scores = people.scores_of(version, calibration.judge)
    waiting = sum(not status for status, held in zip(scores.status, people.held_out, strict=True) if held)
    if waiting:
        message = _("%(count)d triples of the held-out part are not scored yet. Score them first: a look is for all.")
        raise ValidationError(message % {"count": waiting})
    if not np.isfinite(scores.value[people.held_out]).any():
        raise ValidationError(_("No triple of the held-out part has a score."))
    seen = Look.objects.create(calibration=calibration, version=version, by=by)
    _changed(calibration)
    return seen


def _changed(calibration: Calibration) -> None:
    """Tell the pages that show it."""
    transaction.on_commit(lambda: publish(calibration.channel, "changed", {}))


# The level -----------------------------------------------------------------------------------------------------------


def fit_level(*, calibration: Calibration, version: PromptVersion) -> LevelMap:
    """Fit people's level on the dev part and keep it with the version. Raises ValidationError for too few scores."""
    _check_own(calibration, version)
    if calibration.method == Method.ZSCORE:
        raise ValidationError(_("z-scores say who is better, not how good: they have no level to fit."))
    people = people_of(calibration)
    scorer = people.scores_of(version, calibration.judge).value
    rows = ~people.held_out & np.isfinite(scorer)
    found = levelmap.fit(people.human[rows], scorer[rows])
    if found.identity:
        message = _("The judge gave fewer than %(n)d different scores on the dev part: there is no level to fit.")
        raise ValidationError(message % {"n": levelmap.NEEDED})
    values = {"knots": found.to_json(), "triples": int(np.count_nonzero(rows))}
    kept = LevelMap.objects.update_or_create(calibration=calibration, version=version, defaults=values)[0]
    _changed(calibration)
    return kept


def forget_level(*, calibration: Calibration, version: PromptVersion) -> None:
    LevelMap.objects.filter(calibration=calibration, version=version).delete()
    _changed(calibration)


# The active scorer ---------------------------------------------------------------------------------------------------


@transaction.atomic
def activate(
    *, calibration: Calibration, version: PromptVersion, by: User, note: str = "", with_level: bool = False
) -> Activation:
    """Make the version its task's active scorer, with its held-out figures on record. Raises ValidationError.

    Of two at once, one waits for the other, and ends it.
    """
    _check_own(calibration, version)
    task = calibration.prompt.task
    if task is None:
        raise ValidationError(_("This prompt is for every task; a task's scorer needs a prompt of its own."))
    if version.is_trial:
        raise ValidationError(_("A program made this version to try a question. Accept the question first."))
    if not calibration.looks.filter(version=version).exists():
        raise ValidationError(_("Look at the held-out figures first: they go on record with the version."))
    knots = LevelMap.objects.filter(calibration=calibration, version=version).values_list("knots", flat=True).first()
    if with_level and knots is None:
        raise ValidationError(_("No level was fitted for this version. Fit it, or activate it without."))
    Task.objects.select_for_update().get(pk=task.pk)
    now = Activation.objects.filter(task=task, dimension=calibration.prompt.dimension, ended_at=None)
    now.update(ended_at=timezone.now())
    return Activation.objects.create(
        task=task,
        dimension=calibration.prompt.dimension,
        version=version,
        judge=calibration.judge,
        calibration=calibration,
        figures=on_record(calibration, version, knots if with_level else None),
        knots=knots if with_level else None,
        note=note,
        by=by,
    )


def on_record(calibration: Calibration, version: PromptVersion, knots: Any) -> dict[str, Any]:
    """The held-out figures as they are now, beside those of the dev part and the ceiling; with the level map, where
    one is applied. ``notice``: what is to be said of them wherever they are."""
    people = people_of(calibration)
    scorer = people.scores_of(version, calibration.judge).value
    missing = int(np.count_nonzero(people.held_out & ~np.isfinite(scorer)))
    return {
        "held": part(people, scorer, people.held_out, calibration),
        "dev": part(people, scorer, ~people.held_out, calibration),
        "mapped": mapped(people, scorer, people.held_out, calibration, knots) if knots else None,
        "ceiling": number(people.ceiling.ceiling),
        "notice": notices(calibration),
        "unscored": missing,
        "looks": calibration.looks.count(),
        "study": str(calibration.study.uid),
    }


# Unclear guidelines --------------------------------------------------------------------------------------------------


@transaction.atomic
def mark_unclear(
    *, calibration: Calibration, candidate: Candidate, version: PromptVersion, note: str, by: User
) -> UnclearPoint:
    """Note that people and judge differ here because the guideline leaves it open. Raises ValidationError."""
    if not note.strip():
        raise ValidationError(_("Write what the guideline leaves open."))
    if not selections.rated(calibration).filter(pk=candidate.pk).exists():
        raise ValidationError(_("People have not scored this edit in this study."))
    values = {"study": calibration.study, "version": version, "note": note.strip(), "by": by, "settled_at": None}
    return UnclearPoint.objects.update_or_create(calibration=calibration, candidate=candidate, defaults=values)[0]


@transaction.atomic
def settle_unclear(*, point: UnclearPoint, words: str, by: User | None = None) -> None:
    """Put the point aside; ``words``, if there are any, are a new paragraph in a new version of the study's guidelines.

    Annotators read what changed before they get more work.

    Raises ValidationError where that was done: the same words twice help nobody.
    """
    now = timezone.now()
    if not UnclearPoint.objects.filter(pk=point.pk, settled_at=None).update(settled_at=now):
        raise ValidationError(_("Somebody has settled this already. Load the page again."))
    point.settled_at = now
    if words.strip():
        study = Study.objects.select_for_update().get(pk=point.study_id)
        text = f"{study.guidelines.rstrip()}\n\n{words.strip()}\n".lstrip()
        publish_guidelines(study=study, text=text, note=_("A point that was unclear is settled."), by=by)
