"""Scoring jobs: candidates × a version of a prompt × a judge. What was answered before is not asked again."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Avg, Count, Sum
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import Candidate
from scoring.asking import keeping, selections
from scoring.asking.backends import Backend, Identity, backend
from scoring.asking.requests import Asking, requests, wanted
from scoring.judging.render import PromptError
from scoring.models import Answer, DriftCheck, Judge, PromptVersion, Score
from webapp.accounts.models import User
from webapp.endpoints.services import environment_for
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.kinds import DEFAULT, GPU, JobKind
from webapp.jobs.models import Job
from webapp.live.streams import publish

ON_GPU, AT_SERVICE = "score", "score-service"
KINDS = (ON_GPU, AT_SERVICE)
MOST = 1_000_000
CHUNK = 500


def channel_of(version: PromptVersion) -> str:
    """Where a new score of any of the prompt's versions is announced."""
    return f"scores:{version.prompt_id}"


# Start ---------------------------------------------------------------------------------------------------------------


def start_scoring(
    *,
    version: PromptVersion,
    judge: Judge,
    selection: selections.Selection,
    by: User | None,
    most_cost: float | None = None,
    fresh: str = "",
    drift: DriftCheck | None = None,
) -> Job:
    """A job that scores these candidates as far as they are not scored yet. Raises ValidationError.

    ``most_cost``: the job stops when that is spent. ``fresh``: a word that makes older answers not count.
    """
    found = _backend(judge)
    if most_cost is not None and not found.priced(judge.settings):
        message = _("Costs of “%(name)s” are not known: give its endpoint prices, or leave the limit empty.")
        raise ValidationError(message % {"name": judge.name})
    count = selections.candidates_of(selection, version).count()
    if not 0 < count <= MOST:
        message = _("There are %(count)d candidates to score. Choose between 1 and %(most)d.")
        raise ValidationError(message % {"count": count, "most": MOST})
    config = {
        "version": str(version.uid),
        "judge": {"slug": judge.slug, **_program(judge)},
        "passes": judge.passes,
        "identity": asdict(found.identity(judge.settings)),
        "selection": selection,
        "most_cost": most_cost,
        "fresh": fresh,
        "drift": str(drift.uid) if drift else "",
    }
    title = _("Score %(count)d candidates by %(version)s") % {"count": count, "version": version}
    return jobs.start(kind=ON_GPU if found.queue == GPU else AT_SERVICE, title=title, config=config, by=by)


def _backend(judge: Judge) -> Backend:
    found = backend(judge.kind)
    if found is None:
        raise ValidationError(_("There is no kind of judge “%(kind)s”.") % {"kind": judge.kind})
    return found


def _program(judge: Judge) -> dict[str, Any]:
    """The judge as its program is told of it."""
    given = {name: value for name, value in judge.settings.items() if name != "endpoint"}
    endpoint = {"endpoint": judge.settings["endpoint"]} if "endpoint" in judge.settings else {}
    return {"kind": judge.kind, **endpoint, "settings": given}


# The worker's side ---------------------------------------------------------------------------------------------------


def _asked(job: Job) -> tuple[PromptVersion, Judge, Asking]:
    """Raises JobError where the version or the judge is gone."""
    config = job.config
    version = PromptVersion.objects.filter(uid=config["version"]).select_related("prompt").first()
    judge = Judge.objects.filter(slug=config["judge"]["slug"]).first()
    if version is None or judge is None:
        raise JobError(_("The version of the prompt or the judge was deleted."))
    asking = Asking.of(version, Identity(**config["identity"]), config["passes"], config["fresh"])
    return version, judge, asking


def _prepare(job: Job) -> None:
    """Write the requests that are not answered yet, once, and keep the scores that follow from old answers."""
    path = job.folder / "inputs" / "requests.jsonl"
    if path.exists():
        return
    version, judge, asking = _asked(job)
    part = path.with_suffix(".part")
    try:
        rows = selections.in_order(selections.candidates_of(job.config["selection"], version))
        with part.open("w", encoding="utf-8") as file:
            while some := list(islice(rows, CHUNK)):
                file.writelines(_lines(job, version, judge, asking, some))
    except (ValidationError, PromptError) as error:
        raise JobError(" ".join(getattr(error, "messages", [str(error)]))) from None
    part.rename(path)


def _lines(
    job: Job, version: PromptVersion, judge: Judge, asking: Asking, candidates: list[Candidate]
) -> Iterable[str]:
    rows = wanted(asking, candidates)
    keys = {row.candidate.pk: row.keys for row in rows}
    every = [key for passes in keys.values() for key in passes]
    answered = set(Answer.objects.filter(key__in=every, status__in=keeping.FINAL).values_list("key", flat=True))
    known = {pk: passes for pk, passes in keys.items() if not answered.isdisjoint(passes)}
    _keep(job, version, judge, known)
    for request in requests(asking, rows, answered, job.folder):
        yield json.dumps(request.to_json(), ensure_ascii=False) + "\n"


def _on_events(job: Job, events: list[dict[str, Any]]) -> None:
    """Keep answers and scores; seen twice they change nothing."""
    answers = [event for event in events if event["event"] == "answer"]
    if not answers:
        return
    version, judge, asking = _asked(job)
    keeping.keep_answers(events=answers, judge=judge, job_id=job.pk)
    touched = {pk for event in answers for pk in event["ref"]}
    rows = wanted(asking, list(selections.in_order(Candidate.objects.filter(pk__in=touched))))
    _keep(job, version, judge, {row.candidate.pk: row.keys for row in rows})


@transaction.atomic
def _keep(job: Job, version: PromptVersion, judge: Judge, keys: dict[int, list[str]]) -> None:
    """Scores for everybody, or for a check of drift alone: its answers say how the judge is now, not what it said."""
    if not keys:
        return
    if not job.config["drift"]:
        keeping.keep_scores(version=version, judge=judge, keys=keys)
        transaction.on_commit(partial(publish, channel_of(version), "score", {}))
        return
    check = DriftCheck.objects.select_for_update().filter(uid=job.config["drift"]).first()
    if check is not None:
        check.scores = {**check.scores, **keeping.values_of(keys)}
        check.save(update_fields=["scores"])


def _command(program: str, folder: Path) -> list[str]:
    python = (settings.GPU_PYTHON or sys.executable) if program == "training.gpu.run" else sys.executable
    return [python, "-m", program, str(folder)]


def _environment(job: Job) -> dict[str, str]:
    endpoint = job.config["judge"].get("endpoint")
    return environment_for([endpoint] if endpoint else [])


# The job's page ------------------------------------------------------------------------------------------------------


def _links(job: Job) -> list[tuple[str, str]]:
    version = PromptVersion.objects.filter(uid=job.config["version"]).select_related("prompt").first()
    links = [(str(version), version.get_absolute_url())] if version else []
    if uid := job.config["selection"].get("calibration"):
        links.append((_("Calibration"), reverse("calibration", args=[uid])))
    return links


def _context(job: Job) -> dict[str, Any]:
    """What came: counts by status and kind of failure, cost, latency."""
    mine = Answer.objects.filter(job=job)
    counts = mine.order_by().values("status", "kind").annotate(count=Count("id")).order_by("status", "kind")
    labels = dict(Score._meta.get_field("status").flatchoices)
    rows = [(labels[row["status"]], row["kind"], row["count"]) for row in counts]
    return {"rows": rows, "used": mine.aggregate(cost=Sum("cost"), seconds=Avg("seconds"), tokens=Sum("tokens_out"))}


def _kind(name: str, queue: str, program: str) -> JobKind:
    return JobKind(
        name=name,
        label=gettext_lazy("Scoring"),
        queue=queue,
        command=partial(_command, program),
        environment=_environment,
        prepare=_prepare,
        on_events=_on_events,
        links=_links,
        template="scoring/job.html",
        context=_context,
    )


JOB_KINDS = (_kind(ON_GPU, GPU, "training.gpu.run"), _kind(AT_SERVICE, DEFAULT, "scoring.judging.run"))
