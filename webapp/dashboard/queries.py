"""Reads for the overview: the loop's stages, what to do next, the machines, and the jobs that matter now."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.db.models import Count, Exists, OuterRef
from django.urls import reverse
from django.utils import timezone

from annotation.models import Dataset, Member, Study, StudyState
from annotation.protocols import RANKING, RATING
from scoring.models import Activation, Calibration
from training.models import Benchmark, EditorBenchmark, LabelledSet, Proof, RewardModel, SetState, Sweep, TrainedEditor
from training.sets.forms import address_for
from webapp.dashboard import health, next_steps
from webapp.dashboard.counts import ByKey, Counts, counts
from webapp.dashboard.funnel import Numbers, Places, Rewards, Scorers, Studies, Trained, stages
from webapp.dashboard.next_steps import Facts, Place
from webapp.jobs import kinds, machine
from webapp.jobs.machine import Machine
from webapp.jobs.models import Job, State
from webapp.jobs.queries import QueueHealth, at_work, is_silent, queue_health
from webapp.live.streams import client

FAILED_FOR = timedelta(days=1)  # a failed job is news for so long
FAILED_SHOWN, RECENT_SHOWN = 5, 8
AT_WORK_SHOWN = 200  # jobs in workers' hands that are looked at


@dataclass(frozen=True)
class WorkerLine:
    """A worker with what it has in its hands."""

    machine: Machine
    jobs: list[Job]


@dataclass(frozen=True)
class QueueLine:
    health: QueueHealth
    workers: list[WorkerLine]


@dataclass(frozen=True)
class System:
    """What all share. Bytes; 0 or None where it is not known."""

    disk_free: int
    disk_total: int
    database: str
    database_bytes: int
    redis_bytes: int | None  # None: it does not answer

    @property
    def disk_percent(self) -> float:
        return machine.percent(self.disk_total - self.disk_free, self.disk_total)


@dataclass(frozen=True)
class StudyRow:
    study: Study
    members: int
    wanted: int
    given: int

    @property
    def is_finished(self) -> bool:
        """Every answer is given, or no more are asked for."""
        return self.given > 0 and (self.given >= self.wanted or self.study.state == StudyState.CLOSED)


def overview() -> dict[str, Any]:
    """Everything that the page shows."""
    found, datasets = counts(), list(Dataset.objects.only("uid", "name", "notice").order_by("pk"))
    studies, exports = _studies(found), _exports()
    desks = list(Calibration.objects.order_by().values_list("study", flat=True))
    sets = list(LabelledSet.objects.filter(state=SetState.READY).prefetch_related("studies"))
    models = list(RewardModel.objects.order_by().values_list("labelled_set", flat=True))
    failed = _failed()
    queues, working = [queue_health(queue) for queue in (kinds.DEFAULT, kinds.GPU)], list(at_work()[:AT_WORK_SHOWN])
    system = _system(found)
    silent = [job for job in working if is_silent(job)]
    editors, trained = _trained()
    numbers = Numbers(
        _study_numbers(studies, exports), _scorers(found, desks), _rewards(studies, sets, models), trained
    )
    return {
        "stages": stages(found, _places(found, datasets), numbers),
        "counted_at": found.moment if found.is_large else None,
        "demo": [data.name for data in datasets if data.notice],
        "simulated": [row.study.name for row in studies if row.study.is_simulated],
        "steps": next_steps.steps(
            replace(
                _facts(found, datasets, studies, exports, failed=failed, desks=desks, sets=sets, models=models),
                unused=() if trained.runs else _rewarding(sets, models),
                unproven=editors,
            )
        ),
        "problems": health.problems(queues, silent, system.disk_free, system.disk_total),
        "queues": [_queue_line(queue, working) for queue in queues],
        "system": system,
        "failed": failed[:FAILED_SHOWN],
        "jobs": _recent(),
    }


# Data sets and studies ----------------------------------------------------------------------------------------------


def _places(found: Counts, datasets: list[Dataset]) -> Places:
    """Leads to the one data set where there is one, else to the list, where each has its own counts."""
    is_one = len(datasets) == 1
    only = datasets[0].get_absolute_url() if is_one else reverse("datasets")
    by_key = {data.pk: data for data in datasets}
    faulty = [by_key[key] for key, _count in found.aside if key in by_key]
    faults = reverse("faults", args=[faulty[0].uid]) if len(faulty) == 1 else only
    unmade = reverse("faults", args=[datasets[0].uid]) if is_one else only  # that page lists them too
    return Places(datasets=only, aside=faults, unmade=unmade, judged=only + ("?judged=yes" if is_one else ""))


def _studies(found: Counts) -> list[StudyRow]:
    """The newest first."""
    sums = {study: (wanted, given) for study, wanted, given in found.units}
    rows = Study.objects.annotate(people=Count("members")).defer("guidelines").order_by("-id")
    return [StudyRow(study, study.people, *sums.get(study.pk, (0, 0))) for study in rows]


def _exports() -> list[tuple[str, str]]:
    """(study's uid, table) of every finished export."""
    done = Job.objects.filter(state=State.SUCCEEDED, kind="export")
    return [(str(study), str(table)) for study, table in done.values_list("config__study", "config__table")]


def _study_numbers(studies: list[StudyRow], exports: list[tuple[str, str]]) -> Studies:
    taken = {study for study, _table in exports}
    judged = [row for row in studies if row.given]
    return Studies(
        all=len(studies),
        open=sum(row.study.state == StudyState.OPEN for row in studies),
        annotators=Member.objects.filter(user__is_simulated=False).aggregate(n=Count("user", distinct=True))["n"],
        judged=len(judged),
        exported=sum(str(row.study.uid) in taken for row in judged),
        exports=len(exports),
        pairs=sum(table == "pairs" for _study, table in exports),
    )


def _scorers(found: Counts, desks: list[int]) -> Scorers:
    return Scorers(
        active=Activation.objects.filter(ended_at=None).values("task").distinct().count(),
        tasks=found.tasks,
        calibrations=len(desks),
        scored=found.scored,
    )


def _rewards(studies: list[StudyRow], sets: list[LabelledSet], models: list[int]) -> Rewards:
    labelled = _labelled(sets)
    return Rewards(
        models=len(models),
        sets=len(sets),
        benchmarks=Benchmark.objects.count(),
        labelled=sum(row.study.pk in labelled for row in studies if row.given),
    )


def _labelled(sets: list[LabelledSet]) -> set[int]:
    """Keys of the studies that are in one of these sets."""
    return {study.pk for one in sets for study in one.studies.all()}


def _trained() -> tuple[tuple[Place, ...], Trained]:
    """The trained editors that people have not been shown blind, and the numbers."""
    rows = TrainedEditor.objects.select_related("editor").order_by("-id")
    shown = Proof.objects.filter(trained=OuterRef("editor"))
    ranked = EditorBenchmark.objects.filter(editors=OuterRef("editor"))
    editors = list(rows.annotate(is_shown=Exists(shown), is_ranked=Exists(ranked)))
    numbers = Trained(
        editors=len(editors),
        benchmarked=sum(one.is_ranked for one in editors),
        proven=sum(one.is_shown for one in editors),
        runs=Job.objects.filter(kind="posttrain", parent=None).count(),
        sweeps=Sweep.objects.count(),
        benchmarks=EditorBenchmark.objects.count(),
        proofs=Proof.objects.count(),
    )
    return tuple(Place(str(one), one.get_absolute_url()) for one in editors if not one.is_shown), numbers


def _rewarding(sets: list[LabelledSet], models: list[int]) -> tuple[Place, ...]:
    """Training sets whose reward model could train an editor."""
    return tuple(Place(one.name, reverse("new_run")) for one in sets if one.pk in models)


# What to do next ----------------------------------------------------------------------------------------------------


def _facts(
    found: Counts,
    datasets: list[Dataset],
    studies: list[StudyRow],
    exports: list[tuple[str, str]],
    *,
    failed: list[Job],
    desks: list[int],
    sets: list[LabelledSet],
    models: list[int],
) -> Facts:
    labelled = _labelled(sets)
    asked, taken = {row.study.dataset_id for row in studies}, {study for study, _table in exports}
    ongoing = [row for row in studies if row.study.state == StudyState.OPEN and row.given < row.wanted]
    unexported = [row for row in studies if row.is_finished and str(row.study.uid) not in taken]
    return Facts(
        import_href=reverse("new_import"),
        datasets=len(datasets),
        failed=tuple(Place(job.title, job.get_absolute_url()) for job in failed),
        proposals=_at(found.proposals, datasets, "review"),
        bare=_at(found.bare, datasets, "generate"),
        aside=_at(found.undecided, datasets, "faults", "?state=open"),
        unasked=tuple(
            Place(data.name, f"{reverse('new_study')}?dataset={data.pk}")
            for data in datasets
            if data.pk in found.made and data.pk not in asked
        ),
        short=tuple(_of_study(row, "study_members") for row in ongoing if row.members < row.study.protocol.raters),
        waiting=tuple(_of_study(row, "study") for row in ongoing if row.members >= row.study.protocol.raters),
        uncalibrated=tuple(
            Place(row.study.name, f"{reverse('new_calibration')}?people={row.study.uid}/{_first(row.study)}", row.given)
            for row in studies
            if row.given and row.study.protocol.kind == RATING and row.study.pk not in desks
        ),
        unlabelled=tuple(
            Place(row.study.name, address_for(row.study), row.given)
            for row in studies
            if row.given and row.study.protocol.kind == RANKING and row.study.pk not in labelled
        ),
        untrained=tuple(
            Place(one.name, f"{reverse('new_reward_model')}?set={one.slug}", one.groups)
            for one in sets
            if one.pk not in models and one.studies.all()
        ),
        unexported=tuple(_of_study(row, "study") for row in unexported),
        unseen=_at(found.unseen, datasets, "categories"),
    )


def _at(rows: ByKey, datasets: list[Dataset], page: str, more: str = "") -> tuple[Place, ...]:
    """The data sets of these counts, each with that page of it."""
    by_key = {data.pk: data for data in datasets}
    return tuple(
        Place(by_key[key].name, reverse(page, args=[by_key[key].uid]) + more, count)
        for key, count in rows
        if key in by_key  # counts that are kept may be older than the list
    )


def _first(study: Study) -> str:
    return study.protocol.dimensions[0].key


def _of_study(row: StudyRow, page: str) -> Place:
    study = row.study
    return Place(
        study.name, reverse(page, args=[study.uid]), row.wanted - row.given, row.members, study.protocol.raters
    )


# Machines and jobs --------------------------------------------------------------------------------------------------


def _queue_line(queue: QueueHealth, working: list[Job]) -> QueueLine:
    lines = [
        WorkerLine(found, [job for job in working if job.worker == found.worker and job.queue == queue.queue])
        for found in queue.machines or []
    ]
    return QueueLine(queue, lines)


def _system(found: Counts) -> System:
    free, total = machine.disk(Path(settings.VAR))
    return System(
        disk_free=free,
        disk_total=total,
        database={"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(connection.vendor, connection.vendor),
        database_bytes=found.database_bytes,
        redis_bytes=_redis_bytes(),
    )


def _redis_bytes() -> int | None:
    try:
        info: dict[str, Any] = client().info("memory")
    except redis.RedisError:
        return None
    return int(info.get("used_memory", 0))


def _failed() -> list[Job]:
    """Jobs that failed lately, the newest first. A part's failure is told by the job that it belongs to."""
    rows = Job.objects.filter(state=State.FAILED, finished_at__gte=timezone.now() - FAILED_FOR, parent=None)
    return list(rows.select_related("created_by").defer("config", "summary").order_by("-finished_at"))


def _recent() -> list[Job]:
    """The newest jobs that are at work, wait or have ended; those that failed lately stand above them."""
    rows = Job.objects.filter(parent=None).select_related("created_by")
    failed = {"state": State.FAILED, "finished_at__gte": timezone.now() - FAILED_FOR}
    return list(rows.exclude(**failed).order_by("-id")[:RECENT_SHOWN])
