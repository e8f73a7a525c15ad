"""The job that computes a benchmark's figures, and what is registered with others' jobs."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.asking import jobs as asking
from training.benchmarks import reading, services
from training.models import Benchmark
from training.sets import imports
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job


def _work(run: JobRun, _job: Job) -> dict[str, Any]:
    """Facts first, then each scorer; a scorer that is done keeps its figures if the job is stopped."""
    benchmark = Benchmark.objects.select_related("labelled_set").filter(uid=run.config["benchmark"]).first()
    if benchmark is None:
        raise JobError(_("The benchmark was deleted."))
    groups = reading.groups_of(benchmark)
    if not groups:
        raise JobError(_("No group of this set counts. Choose another part of it."))
    results = benchmark.results.select_related("benchmark__labelled_set", "version", "judge").order_by("pk")
    if judge := run.config["judge"]:
        results = results.filter(judge__slug=judge, version__uid__in=run.config["versions"])
    rows = list(results)
    if not (benchmark.facts and judge):
        run.progress(0, len(rows) + 1, _("Votes, ceiling and baselines"))
        services.compute_facts(benchmark, groups)
    for number, row in enumerate(rows, start=1):
        run.check()
        run.progress(number, len(rows) + 1, str(row.judge))
        services.compute(row, groups)
    return {"scorers": len(rows), "groups": len(groups)}


def _links(job: Job) -> list[tuple[str, str]]:
    found = Benchmark.objects.select_related("labelled_set").filter(uid=job.config["benchmark"]).first()
    return [(str(found), found.get_absolute_url())] if found else []


KIND = JobKind(name=services.KIND, label=gettext_lazy("Figures of a benchmark"), work=_work, links=_links)


def connect() -> None:
    """Called once at the start: what is done after a scoring job and after an import that name a benchmark."""
    asking.follow(services.FOLLOWER, services.after_scoring)
    imports.follow(services.FOLLOWER, services.from_import)
