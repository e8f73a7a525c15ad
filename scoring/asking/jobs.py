"""Scoring jobs: candidates × versions of a prompt × a judge. What was answered before is not asked again."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Avg, Count, Sum
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import Candidate, Dataset
from scoring.asking import keeping, selections
from scoring.asking.backends import Backend, Identity, backend
from scoring.asking.requests import Asking, Wanted, requests, wanted
from scoring.judging.render import PromptError
from scoring.models import Answer, Calibration, DriftCheck, Judge, PromptVersion, Score
from webapp.accounts.models import User
from webapp.endpoints.services import environment_for
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, read_json, write_json
from webapp.jobs.kinds import DEFAULT, GPU, JobKind, run_model
from webapp.jobs.models import CLAIMED, Job
from webapp.live.streams import publish

ON_GPU, AT_SERVICE = "score", "score-service"
KINDS = (ON_GPU, AT_SERVICE)
MOST = 1_000_000
CHUNK = 500
REQUESTS = "requests.jsonl"
SHARED = "shared.json"  # beside the requests: see _Listed

_followers: dict[str, Callable[[Job], None]] = {}


def follow(name: str, follower: Callable[[Job], None]) -> None:
    """Register what is done after a scoring job whose configuration asks for it. It must allow repeats."""
    _followers[name] = follower


def channel_of(version: PromptVersion) -> str:
    """Where a new score of any of the prompt's versions is announced."""
    return f"scores:{version.prompt_id}"


# Start ---------------------------------------------------------------------------------------------------------------


def start_scoring(
    *,
    versions: Sequence[PromptVersion],
    judge: Judge,
    selection: selections.Selection,
    by: User | None,
    most_cost: float | None = None,
    fresh: str = "",
    drift: DriftCheck | None = None,
    then: dict[str, Any] | None = None,
) -> Job:
    """A job that scores these candidates as far as they are not scored yet, by each of the versions, which are of one
    prompt. Raises ValidationError.

    ``most_cost``: the job stops when that is spent. ``fresh``: a word that makes older answers not count.
    ``then``: what follows when it is done, {"name": of a follower, …}.
    """
    found = _backend(judge)
    if most_cost is not None and not found.priced(judge.settings):
        message = _("Costs of “%(name)s” are not known: give its endpoint prices, or leave the limit empty.")
        raise ValidationError(message % {"name": judge.name})
    count = selections.candidates_of(selection, versions[0]).count() * len(versions) * judge.passes
    if not 0 < count <= MOST:
        message = _("There are %(count)d scores to make. Choose between 1 and %(most)d.")
        raise ValidationError(message % {"count": count, "most": MOST})
    config = {
        "versions": [str(version.uid) for version in versions],
        "judge": {"slug": judge.slug, **_program(judge, found)},
        "passes": judge.passes,
        "identity": asdict(found.identity(judge.settings)),
        "selection": selection,
        "most_cost": most_cost,
        "fresh": fresh,
        "drift": str(drift.uid) if drift else "",
        "then": then or {},
    }
    names = ", ".join(str(version) for version in versions[:3]) + (" …" if len(versions) > 3 else "")
    title = _("%(count)d scores by %(version)s") % {"count": count, "version": names}
    return jobs.start(kind=ON_GPU if found.queue == GPU else AT_SERVICE, title=title, config=config, by=by)


def _backend(judge: Judge) -> Backend:
    found = backend(judge.kind)
    if found is None:
        raise ValidationError(_("There is no kind of judge “%(kind)s”.") % {"kind": judge.kind})
    return found


def _program(judge: Judge, found: Backend) -> dict[str, Any]:
    """The judge as its program is told of it."""
    given = {name: value for name, value in judge.settings.items() if not name.startswith("endpoint")}
    given = found.program(given)
    endpoint = {"endpoint": judge.settings["endpoint"]} if "endpoint" in judge.settings else {}
    return {"kind": judge.kind, **endpoint, "settings": given}


# The worker's side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """What a job asks by one version. ``place``: of the version in the job's list, the first number of a ref."""

    place: int
    version: PromptVersion
    judge: Judge
    asking: Asking


def _asked(job: Job) -> list[_Asked]:
    """Raises JobError where a version or the judge is gone."""
    config = job.config
    rows = PromptVersion.objects.filter(uid__in=config["versions"]).select_related("prompt")
    found = {str(version.uid): version for version in rows.prefetch_related("questions")}
    judge = Judge.objects.filter(slug=config["judge"]["slug"]).first()
    if judge is None or len(found) < len(config["versions"]):
        raise JobError(_("A version of the prompt or the judge was deleted."))
    identity = Identity(**config["identity"])
    return [
        _Asked(place, found[uid], judge, Asking.of(found[uid], identity, config["passes"], config["fresh"]))
        for place, uid in enumerate(config["versions"])
    ]


@dataclass
class _Listed:
    """The list of requests while it is written. ``theirs``: keys that other jobs are asking. ``keys``: of this list.
    ``shared``: by version, candidates that have their score from one of these: pictures and texts can be equal, of
    other cases or by another version.
    """

    theirs: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    shared: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))


def _prepare(job: Job) -> None:
    """Write the requests that are not answered yet, and keep the scores that follow from old answers.

    Anew for every attempt: what another job was answered meanwhile is not paid again. What this job was answered stays
    in the list, whose program knows it.
    """
    _check_identity(job)
    path, listed = job.folder / "inputs" / REQUESTS, _Listed(theirs=_elsewhere(job))
    part = path.with_suffix(".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for asked in _asked(job):
                for some in _chunks(job, asked):
                    file.writelines(_lines(job, asked, some, listed))
                    jobs.heartbeat(job)  # a long list takes longer than a worker may be silent
    except (ValidationError, PromptError) as error:
        raise JobError(" ".join(getattr(error, "messages", [str(error)]))) from None
    write_json(job.folder / "inputs" / SHARED, listed.shared)
    part.rename(path)


def _check_identity(job: Job) -> None:
    """Answers are kept under what the judge was when the job began. Raises JobError where it is another now."""
    judge = Judge.objects.filter(slug=job.config["judge"]["slug"]).first()
    try:
        now = asdict(_backend(judge).identity(judge.settings)) if judge else None
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from None
    if judge and json.loads(json.dumps(now)) != job.config["identity"]:
        message = _("The judge “%(name)s” is another than when this job began: its model or address changed.")
        raise JobError(message % {"name": judge.name})


def _elsewhere(job: Job) -> set[str]:
    """Keys that other jobs of the same judge are asking at this moment: they are not paid twice."""
    keys: set[str] = set()
    for other in Job.objects.filter(kind__in=KINDS, state__in=CLAIMED).exclude(pk=job.pk):
        path = other.folder / "inputs" / REQUESTS
        if other.config["judge"]["slug"] == job.config["judge"]["slug"] and path.exists():
            with path.open(encoding="utf-8") as file:
                keys.update(json.loads(line)["key"] for line in file)
    return keys


def _chunks(job: Job, asked: _Asked) -> Iterator[list[Wanted]]:
    rows = selections.in_order(selections.candidates_of(job.config["selection"], asked.version))
    while some := list(islice(rows, CHUNK)):
        yield wanted(asked.asking, some)


def _lines(job: Job, asked: _Asked, rows: list[Wanted], listed: _Listed) -> Iterator[str]:
    keys = {row.candidate.pk: row.keys for row in rows}
    every = [key for passes in keys.values() for key in passes]
    found = Answer.objects.filter(key__in=every, status__in=keeping.FINAL)
    answered: dict[str, int | None] = dict(found.values_list("key", "job"))
    _keep(job, asked, {pk: passes for pk, passes in keys.items() if not answered.keys().isdisjoint(passes)})
    theirs = {key for key, by in answered.items() if by != job.pk}
    taken = {key for key in every if key in listed.keys or key in listed.theirs}
    for request in requests(asked.asking, rows, theirs | taken, job.folder):
        yield json.dumps(replace(request, ref=(asked.place, *request.ref)).to_json(), ensure_ascii=False) + "\n"
    listed.shared[asked.place] += [pk for pk, passes in keys.items() if not taken.isdisjoint(passes)]
    listed.keys.update(every)


def _on_events(job: Job, events: list[dict[str, Any]]) -> None:
    """Keep answers and scores; seen twice they change nothing."""
    answers = [event for event in events if event["event"] == "answer"]
    if not answers:
        return
    every = _asked(job)
    keeping.keep_answers(events=answers, judge=every[0].judge, job_id=job.pk)
    touched: dict[int, set[int]] = defaultdict(set)
    for event in answers:
        touched[event["ref"][0]].update(event["ref"][1:])
    for place, candidates in touched.items():
        _keep_again(job, every[place], candidates)


def _on_result(job: Job, _summary: dict[str, Any]) -> None:
    """Of candidates and versions whose requests are equal one was asked: the others have their scores from its
    answers."""
    shared = read_json(job.folder / "inputs" / SHARED) or {}
    for asked in _asked(job) if any(shared.values()) else []:
        candidates = shared.get(str(asked.place), [])
        for start in range(0, len(candidates), CHUNK):
            _keep_again(job, asked, candidates[start : start + CHUNK])
            jobs.heartbeat(job)
    if follower := _followers.get(job.config["then"].get("name", "")):
        follower(job)


def _keep_again(job: Job, asked: _Asked, candidates: Iterable[int]) -> None:
    """Make the scores of these anew, as far as they are still there."""
    rows = wanted(asked.asking, list(selections.in_order(Candidate.objects.filter(pk__in=candidates))))
    _keep(job, asked, {row.candidate.pk: row.keys for row in rows})


@transaction.atomic
def _keep(job: Job, asked: _Asked, keys: dict[int, list[str]]) -> None:
    """Scores for everybody, or for a check of drift alone: its answers say how the judge is now, not what it said."""
    if not keys:
        return
    if not job.config["drift"]:
        keeping.keep_scores(version=asked.version, judge=asked.judge, keys=keys)
        transaction.on_commit(partial(publish, channel_of(asked.version), "score", {}))
        return
    check = DriftCheck.objects.select_for_update().filter(uid=job.config["drift"]).first()
    if check is not None:
        check.scores = {**check.scores, **keeping.values_of(keys)}
        check.save(update_fields=["scores"])


def _ask_service(folder: Path) -> list[str]:
    return [sys.executable, "-m", "scoring.judging.run", str(folder)]


def _environment(job: Job) -> dict[str, str]:
    endpoint = job.config["judge"].get("endpoint")
    return environment_for([endpoint] if endpoint else [])


# The job's page ------------------------------------------------------------------------------------------------------


def _links(job: Job) -> list[tuple[str, str]]:
    versions = PromptVersion.objects.filter(uid__in=job.config["versions"]).select_related("prompt")
    links = [(str(version), version.get_absolute_url()) for version in versions]
    if uid := job.config["selection"].get("calibration"):
        links.append((_("Calibration"), reverse("calibration", args=[uid])))
    return links


def _context(job: Job) -> dict[str, Any]:
    """What came: counts by status and kind of failure, cost, latency."""
    mine = Answer.objects.filter(job=job)
    counts = mine.order_by().values("status", "kind").annotate(count=Count("id")).order_by("status", "kind")
    labels = dict(Score._meta.get_field("status").flatchoices)
    rows = [(labels[row["status"]], row["kind"], row["count"]) for row in counts]
    return {
        "rows": rows,
        "used": mine.aggregate(cost=Sum("cost"), seconds=Avg("seconds"), tokens=Sum("tokens_out")),
        "notice": _notice(job),
    }


def _notice(job: Job) -> str:
    """What is to be said of the scores wherever they are: a demo judge, demo data, simulated annotators."""
    selection = job.config["selection"]
    notices = [Judge.objects.filter(slug=job.config["judge"]["slug"]).values_list("notice", flat=True).first()]
    if uid := selection.get("calibration"):
        found = Calibration.objects.filter(uid=uid).select_related("study__dataset").first()
        notices.append(found.study.notice if found else "")
    elif uid := selection.get("dataset"):
        notices.append(Dataset.objects.filter(uid=uid).values_list("notice", flat=True).first())
    return " ".join(notice for notice in notices if notice)


def _kind(name: str, queue: str, command: Callable[[Path], list[str]]) -> JobKind:
    return JobKind(
        name=name,
        label=gettext_lazy("Scoring"),
        queue=queue,
        command=command,
        environment=_environment,
        prepare=_prepare,
        on_events=_on_events,
        on_result=_on_result,
        links=_links,
        template="scoring/job.html",
        context=_context,
    )


JOB_KINDS = (_kind(ON_GPU, GPU, run_model), _kind(AT_SERVICE, DEFAULT, _ask_service))
