"""Refinement by a program: propose a question, score it on the dev part, keep it where the paired interval says better.

A chain of jobs: one proposes and makes a trial version, the next scores it, and so on for so many rounds or until the
budget is spent. The held-out part is neither scored nor seen. What comes out is a proposal: a person accepts it.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.asking.backends import backend
from scoring.asking.jobs import follow
from scoring.calibration import disagreements, proposers, services, trials
from scoring.calibration.comparing import compare_versions
from scoring.models import Answer, Calibration, PromptVersion, Suggestion, SuggestionState
from scoring.prompts.services import create_from_draft, draft_of
from webapp.accounts.models import User
from webapp.endpoints.errors import EndpointError
from webapp.endpoints.http import CHAT, Client
from webapp.endpoints.models import Endpoint
from webapp.endpoints.services import job_config
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job
from webapp.live.streams import publish

KIND_NAME, FOLLOWER = "refine", "suggestion"
MOST_ROUNDS = 20
OPEN, ACCEPTED, REJECTED = SuggestionState.OPEN, SuggestionState.ACCEPTED, SuggestionState.REJECTED
Config = dict[str, Any]


class RefineForm(forms.Form):
    proposer = forms.ChoiceField(label=gettext_lazy("Who proposes"))
    rounds = forms.IntegerField(
        label=gettext_lazy("Rounds of the loop"), min_value=1, max_value=MOST_ROUNDS, initial=5, required=False
    )
    budget = forms.FloatField(label=gettext_lazy("Spend at most"), min_value=0, required=False)

    def __init__(self, *args: Any, calibration: Calibration, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = list(Endpoint.objects.filter(kind=CHAT).order_by("slug").values_list("slug", "name"))
        if calibration.judge.kind == proposers.DRAWN:
            known.insert(0, (proposers.DRAWN, _("Known questions of the drawn world (demo, no language model)")))
        self.fields["proposer"].choices = known  # type: ignore[attr-defined]


def start_refining(
    *,
    calibration: Calibration,
    version: PromptVersion,
    proposer: str,
    rounds: int,
    by: User | None,
    budget: float | None = None,
) -> Job:
    """The first job of the chain. ``proposer``: "drawn", or the slug of a chat endpoint. Raises ValidationError."""
    if proposer != proposers.DRAWN:
        endpoint = Endpoint.objects.filter(slug=proposer, kind=CHAT).first()
        if endpoint is None:
            raise ValidationError(_("Choose who proposes."))
        if budget is not None and (endpoint.price_input is None or endpoint.price_output is None):
            message = _("Costs of “%(name)s” are not known: give it prices of tokens, or leave the limit empty.")
            raise ValidationError(message % {"name": endpoint.name})
    if budget is not None and budget <= 0:
        raise ValidationError(_("With nothing to spend nothing can be proposed. Leave the limit empty for no limit."))
    judged_by = backend(calibration.judge.kind)
    if budget is not None and judged_by and not judged_by.priced(calibration.judge.settings):
        message = _("Costs of “%(name)s” are not known: give its endpoint prices, or leave the limit empty.")
        raise ValidationError(message % {"name": calibration.judge.name})
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValidationError(_("A loop has 1 to %(most)d rounds.") % {"most": MOST_ROUNDS})
    config = {
        "calibration": str(calibration.uid),
        "version": str(version.uid),
        "proposer": proposer,
        "rounds": rounds,
        "budget": budget,
        "spent": 0.0,
        "tried": [],
    }
    return _start(config, by, version)


def _start(config: Config, by: User | None, version: PromptVersion) -> Job:
    title = _("Propose a question for %(version)s") % {"version": version}
    return jobs.start(kind=KIND_NAME, title=title, config=config, by=by)


# The job that proposes -----------------------------------------------------------------------------------------------


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    calibration, version = _rows(run.config)
    earlier = Suggestion.objects.filter(job=job).first()
    if earlier is not None:  # an attempt that was killed had got so far: it is paid for
        return {"suggestion": str(earlier.uid), "cost": None}
    run.progress(0, 1)
    try:
        found = _proposed(run.config, calibration, version)
    except proposers.NoProposal as error:
        raise JobError(str(error)) from None
    except EndpointError as error:
        raise JobError(_("The endpoint that proposes: %(error)s") % {"error": error}) from None
    made = _suggest(calibration, version, found, job)
    run.progress(1, 1)
    return {"suggestion": str(made.uid), "cost": found.cost}


def _proposed(config: Config, calibration: Calibration, version: PromptVersion) -> proposers.Proposal:
    if config["proposer"] == proposers.DRAWN:
        return proposers.from_known(version, config["tried"])
    rows, _count = disagreements.largest(calibration, version)
    with Client(job_config(config["proposer"])) as client:
        return proposers.from_model(client, version, rows, config["tried"])


@transaction.atomic
def _suggest(calibration: Calibration, version: PromptVersion, found: proposers.Proposal, job: Job) -> Suggestion:
    """The suggestion with its trial version."""
    try:
        trial = trials.with_question(parent=version, text=found.text, by=job.created_by)
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from None
    return Suggestion.objects.create(
        calibration=calibration,
        parent=version,
        text=found.text,
        reason=found.reason,
        source=found.source[:200],
        trial=trial,
        job=job,
    )


@transaction.atomic
def _on_result(job: Job, summary: dict[str, Any]) -> None:
    """Score the trial beside its parent on the dev part."""
    made = Suggestion.objects.filter(uid=summary["suggestion"]).select_related("trial__prompt", "calibration").first()
    if made is None or made.trial is None or made.figures.get("scoring"):
        return
    config = {**job.config, "spent": job.config["spent"] + (summary.get("cost") or 0.0)}
    left = None if config["budget"] is None else max(0.0, config["budget"] - config["spent"])
    calibration, parent = _rows(config)
    try:
        scoring = services.score_versions(
            calibration=calibration,
            versions=[parent, made.trial],
            by=job.created_by,
            most_cost=left if calibration.judge.settings.get("endpoint") else None,
            dev_only=True,
            then={"name": FOLLOWER, "suggestion": str(made.uid), "config": config},
        )
    except ValidationError as error:
        made.figures = {"problem": " ".join(error.messages)}
    else:
        made.figures = {"scoring": str(scoring.uid)}
    made.save(update_fields=["figures"])
    transaction.on_commit(lambda: publish(calibration.channel, "changed", {}))


# After the trial is scored -------------------------------------------------------------------------------------------


@transaction.atomic
def after_scoring(job: Job) -> None:
    """Keep the comparison with the suggestion, and go on where rounds and budget are left."""
    then = job.config["then"]
    made = Suggestion.objects.filter(uid=then["suggestion"]).select_related("trial__prompt", "parent__prompt").first()
    if made is None or made.trial is None or "verdict" in made.figures:
        return
    calibration, _version = _rows(then["config"])
    found = compare_versions(calibration, made.parent, made.trial)[0]
    made.figures = {
        **made.figures,
        "verdict": found.verdict,
        "sentence": found.sentence,
        "before": found.pcc[0],
        "after": found.pcc[1],
        "difference": found.difference,
        "n": found.n,
    }
    made.save(update_fields=["figures"])
    transaction.on_commit(lambda: publish(calibration.channel, "changed", {}))
    _next_round(then["config"], made, job)


def _next_round(config: Config, made: Suggestion, job: Job) -> None:
    kept = made.figures["verdict"] == "better"
    base = made.trial if kept and made.trial else made.parent
    spent = config["spent"] + (Answer.objects.filter(job=job).aggregate(cost=Sum("cost"))["cost"] or 0.0)
    if config["rounds"] <= 1 or (config["budget"] is not None and spent >= config["budget"]):
        return
    tried = config["tried"] if kept else [*config["tried"], made.text]
    following = {**config, "version": str(base.uid), "rounds": config["rounds"] - 1, "tried": tried, "spent": spent}
    _start(following, job.created_by, base)


def _rows(config: Config) -> tuple[Calibration, PromptVersion]:
    calibrations = Calibration.objects.select_related("prompt__task", "study", "judge")
    versions = PromptVersion.objects.select_related("prompt__task").prefetch_related("questions")
    calibration = calibrations.filter(uid=config["calibration"]).first()
    version = versions.filter(uid=config["version"]).first()
    if calibration is None or version is None:
        raise JobError(_("The calibration or the version of the prompt was deleted."))
    return calibration, version


# A person decides ----------------------------------------------------------------------------------------------------


@transaction.atomic
def accept(*, suggestion: Suggestion, by: User) -> PromptVersion:
    """Make a version of people of what was tried: its question, and those that the loop kept before it. Raises
    ValidationError."""
    _decide(suggestion, ACCEPTED, by)
    trial = suggestion.trial
    if trial is None:
        raise ValidationError(_("The trial version was deleted."))
    note = _("Proposed by %(source)s: %(text)s") % {"source": suggestion.source, "text": suggestion.text}
    parent = trial
    while parent.is_trial and parent.parent is not None:
        parent = parent.parent
    made = create_from_draft(parent=parent, draft=draft_of(trial), note=note[:500], by=by)
    services.use_version(calibration=suggestion.calibration, version=made)
    return made


@transaction.atomic
def reject(*, suggestion: Suggestion, by: User) -> None:
    _decide(suggestion, REJECTED, by)


def _decide(suggestion: Suggestion, state: str, by: User) -> None:
    """Of two people one is first: the change is a conditional UPDATE."""
    values = {"state": state, "decided_by": by, "decided_at": timezone.now()}
    if not Suggestion.objects.filter(pk=suggestion.pk, state=OPEN).update(**values):
        raise ValidationError(_("Somebody else has decided on this already. Load the page again."))
    suggestion.state = state


def _links(job: Job) -> list[tuple[str, str]]:
    found = Calibration.objects.filter(uid=job.config["calibration"]).first()
    return [(found.name, found.get_absolute_url())] if found else []


KIND = JobKind(name=KIND_NAME, label=gettext_lazy("Refinement"), work=_work, on_result=_on_result, links=_links)


def register_follower() -> None:
    follow(FOLLOWER, after_scoring)
