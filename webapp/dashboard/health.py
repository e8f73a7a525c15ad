"""What is wrong with the machines, in words, with what to do. No database and no Redis here: see queries.py."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webapp.jobs.machine import Machine
from webapp.jobs.models import Job
from webapp.jobs.queries import QueueHealth

GIB = 1024**3
DISK_LOW, DISK_OUT = 10 * GIB, 2 * GIB  # free bytes: time to make room; jobs and uploads are about to fail
MEMORY_LOW = 95.0  # percent in use: the kernel will soon kill the largest process, which is a job's
SILENT_SHOWN = 3


@dataclass(frozen=True)
class Problem:
    """``is_bad``: something stands still now; else it soon may."""

    text: str
    is_bad: bool = True
    href: str = ""


def problems(queues: Sequence[QueueHealth], silent: Sequence[Job], disk_free: int, disk_total: int) -> list[Problem]:
    """Everything that a person must do something about, the worst first. ``silent``: jobs whose worker is silent."""
    found = _redis(queues) or [problem for queue in queues for problem in _queue(queue)]
    found += _silent(silent)
    found += _disk(_("The disk of the data folder on the web server"), disk_free, disk_total)
    named = {disk_total}  # machines share a disk as a rule, and each measured it at another moment
    for machine in _machines(queues):
        if machine.disk_total not in named:
            what = _("The disk of the data folder on %(host)s") % {"host": machine.host}
            found += _disk(what, machine.disk_free, machine.disk_total)
        named.add(machine.disk_total)
        found += _memory(machine)
    return sorted(found, key=lambda problem: not problem.is_bad)


def _redis(queues: Sequence[QueueHealth]) -> list[Problem]:
    if all(queue.machines is not None for queue in queues):
        return []
    words = _("Redis does not answer, so no job can start and pages are not live. Start it again; no job is lost.")
    return [Problem(words)]


def _queue(queue: QueueHealth) -> list[Problem]:
    if queue.workers:
        return []
    if not queue.waiting:
        words = _("No worker listens to the queue “%(queue)s”. A job sent there would wait until one is started.")
        return [Problem(words % {"queue": queue.queue}, is_bad=False)]
    words = ngettext(
        "No worker listens to the queue “%(queue)s”, and %(n)d job waits. Start one; the job then begins by itself.",
        "No worker listens to the queue “%(queue)s”, and %(n)d jobs wait. Start one; they then begin by themselves.",
        queue.waiting,
    )
    return [Problem(words % {"queue": queue.queue, "n": queue.waiting})]


def _silent(jobs: Sequence[Job]) -> list[Problem]:
    words = _(
        "The worker %(worker)s, which has “%(job)s”, has stopped answering. The job goes on from its last saved "
        "place as soon as a worker is free."
    )
    return [
        Problem(words % {"worker": job.worker, "job": job.title}, href=job.get_absolute_url())
        for job in jobs[:SILENT_SHOWN]
    ]


def _disk(what: str, free: int, total: int) -> list[Problem]:
    if not total or free >= DISK_LOW:
        return []
    words = _("%(what)s has %(free)s left. Free some, or move the data folder to a larger disk.")
    return [Problem(words % {"what": what, "free": filesizeformat(free)}, is_bad=free < DISK_OUT)]


def _memory(machine: Machine) -> list[Problem]:
    if machine.memory_percent < MEMORY_LOW:
        return []
    words = _("%(host)s has %(free)s of memory left. A job there may be killed: run fewer at once.")
    return [Problem(words % {"host": machine.host, "free": filesizeformat(machine.memory_free)}, is_bad=False)]


def _machines(queues: Sequence[QueueHealth]) -> list[Machine]:
    """One worker of each host: what they say of it is the same."""
    by_host = {machine.host: machine for queue in queues for machine in queue.machines or [] if machine.host}
    return list(by_host.values())
