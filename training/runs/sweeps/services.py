"""Writes to sweeps: start all of its runs or none, stop them, go on, forget the grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from training.models import Sweep, SweepRun
from training.runs.data import choose
from training.runs.progress import read_progress
from training.runs.starting import Checked, check, start_run
from training.runs.sweeps.forms import short
from training.runs.sweeps.plan import MOST, Cell, Plan, cells
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.models import ACTIVE, RESUMABLE, Job

NAMED = 3  # runs that a refusal names before it counts


@dataclass(frozen=True)
class Preview:
    """A sweep before anything starts. ``rows``: each run with what its check says. Sums are over the runs that have an
    estimate; ``hours`` is None where one of them cannot be told."""

    rows: list[tuple[Cell, Checked]]

    @property
    def problems(self) -> list[str]:
        return grouped([(cell.words, checked.problems) for cell, checked in self.rows])

    @property
    def images(self) -> int:
        return sum(one.estimate.images for _cell, one in self.rows if one.estimate)

    @property
    def judgements(self) -> int:
        return sum(one.estimate.judgements + one.estimate.looked for _cell, one in self.rows if one.estimate)

    @property
    def hours(self) -> float | None:
        found = [one.estimate.hours if one.estimate else None for _cell, one in self.rows]
        known = [hours for hours in found if hours is not None]
        return sum(known) if known and len(known) == len(found) else None

    @property
    def minutes(self) -> float | None:
        return None if self.hours is None else self.hours * 60

    @property
    def memory(self) -> float | None:
        """Of the largest run, in GB."""
        found = [one.estimate.memory for _cell, one in self.rows if one.estimate]
        return max((memory for memory in found if memory is not None), default=None)

    @property
    def looks_differ(self) -> bool:
        """Whether the fixed cases are not the same in all runs: then gains are not of the same cases."""
        return len({_looks(one) for _cell, one in self.rows if one.chosen}) > 1


def _looks(checked: Checked) -> tuple[tuple[str, str, str], ...]:
    assert checked.chosen is not None
    rows = [row for row in checked.chosen.cases if row["split"] == "look"]
    return tuple((row["key"], row["source"], row["instruction"]) for row in rows)


def preview(plan: Plan) -> Preview:
    found, choosing = cells(plan), cache(choose)
    return Preview([(cell, check(cell.wish, choosing) if cell.wish else Checked([cell.problem])) for cell in found])


def grouped(told: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Refusals with the runs that they are of; one that all runs have stands alone."""
    by_words: dict[str, list[str]] = {}
    for run, problems in told:
        for words in dict.fromkeys(problems):
            by_words.setdefault(words, []).append(run)
    found = []
    for words, runs in by_words.items():
        named = "; ".join(runs[:NAMED])
        more = _(" and %(n)d more") % {"n": len(runs) - NAMED} if len(runs) > NAMED else ""
        found.append(words if len(runs) == len(told) > 1 else f"{named}{more}: {words}")
    return found


def start_sweep(*, plan: Plan, by: User | None) -> Sweep:
    """One job for each run, or none at all. Raises ValidationError with all refusals, each with the runs it is of."""
    slug = short(plan.name)
    if Sweep.objects.filter(slug=slug).exists():
        words = _("There is a sweep called “%(name)s” already. Take another name.")
        raise ValidationError({"name": words % {"name": plan.name}})
    if not 1 < plan.count <= MOST:
        raise ValidationError(_("A sweep has 2 to %(most)d runs; these are %(n)d.") % {"most": MOST, "n": plan.count})
    with transaction.atomic():
        sweep = Sweep(slug=slug, name=plan.name, axes=[axis.to_json() for axis in plan.axes], created_by=by)
        sweep.start = {"given": dict(plan.given), "base": plan.wish.base.slug, "note": plan.wish.note}
        sweep.full_clean()
        sweep.save()
        notices = _start_runs(sweep, cells(plan), by)
        sweep.start = {**sweep.start, "notice": " ".join(dict.fromkeys(words for words in notices if words))}
        sweep.save(update_fields=["start"])
    return sweep


def _start_runs(sweep: Sweep, found: Sequence[Cell], by: User | None) -> list[str]:
    """What is to be said of the runs. Raises ValidationError after all were tried, so that nothing of them stays."""
    refused: list[tuple[str, list[str]]] = []
    notices, choosing = [], cache(choose)
    for position, cell in enumerate(found):
        problems = [cell.problem] if cell.problem else []
        if cell.wish:
            try:
                job = start_run(wish=cell.wish, by=by, choosing=choosing)
            except ValidationError as error:
                problems = list(error.messages)
            else:
                SweepRun.objects.create(sweep=sweep, job=job, position=position, place=cell.place)
                notices.append(job.config.get("notice", ""))
        refused.append((cell.words, problems))
    if any(problems for _words, problems in refused):
        raise ValidationError(grouped(refused))
    return notices


# All runs of a sweep -------------------------------------------------------------------------------------------------


def cancel_all(*, sweep: Sweep) -> int:
    """Ask all runs that wait or run to stop; each saves its place first. Returns how many."""
    stopped = 0
    for job in _jobs(sweep, ACTIVE):
        try:
            jobs.cancel(job=job)
        except ValidationError:
            continue  # it has ended by itself meanwhile
        stopped += 1
    return stopped


def resume_all(*, sweep: Sweep) -> tuple[int, int]:
    """Runs that were cancelled or have failed go on. How many, and how many wait for a person's answer to the watch:
    those are left."""
    resumed = waiting = 0
    for job in _jobs(sweep, RESUMABLE):
        if read_progress(job.folder).question(int(job.config.get("acknowledged", 0))):
            waiting += 1
            continue
        try:
            jobs.resume(job=job)
        except ValidationError:
            continue  # somebody else was faster
        resumed += 1
    return resumed, waiting


def _jobs(sweep: Sweep, states: Iterable[str]) -> list[Job]:
    rows = Job.objects.filter(sweep_run__sweep=sweep, state__in=list(states))
    return list(rows.order_by("sweep_run__position"))


def delete_sweep(*, sweep: Sweep) -> None:
    """The grid goes; its runs, and the editors that they made, stay."""
    sweep.delete()
