"""Who can give the reward of a run: judges with prompts, reward models, scoring services, and the drawn world's truth.

A source is chosen by a short text (its value), and told to the job as an entry of job.json: see
training/gpu/posttrain/rewarding. The entry holds the prompts' whole texts, so what is asked cannot change under a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from annotation.models import Dataset, Task
from annotation.simulation.truth import is_drawn
from scoring.asking.backends import Identity, backend
from scoring.asking.queries import choices_of
from scoring.models import Activation, Judge, PromptVersion
from training.gpu.posttrain.rewarding.truth import NAME as TRUE_SCORE
from training.judges import problem
from training.models import RewardModel
from training.reward_models.registry import OVERALL, folder_of
from webapp.endpoints.http import CHAT
from webapp.endpoints.models import Endpoint
from webapp.endpoints.services import environment_for
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

ACTIVE, USUAL, JUDGE, MODEL, HTTP, TRUTH = "active", "usual", "judge", "model", "http", "truth"
REWARD = "reward"  # judges of this kind are reward models, which are offered as such
PLACES = "inputs/reward-models"  # below a job's folder
Spec = dict[str, Any]


# What there is to choose ---------------------------------------------------------------------------------------------


def choices(dataset: Dataset | None = None) -> list[tuple[str, str]]:
    """Values with their labels. With a data set, the truth only where there is one. A handful of queries."""
    judges = list(Judge.objects.exclude(kind=REWARD))
    active = _open_activations()
    scorers = {row.judge.slug for row in active}
    rows = PromptVersion.objects.filter(is_trial=False).select_related("prompt").defer("preamble", "rubric")
    newest = {row.prompt_id: row for row in rows.order_by("prompt__slug", "number")}
    versions = {row.pk: row for row in (*newest.values(), *(row.version for row in active))}
    found = [(f"{ACTIVE}:{one.slug}", _active(one)) for one in judges if one.slug in scorers]
    found += [(f"{USUAL}:{one.slug}", _usual(one)) for one in judges if newest]
    found += [(f"{JUDGE}:{one.slug}:{row.uid}", _with(one, row)) for one in judges for row in versions.values()]
    for model in RewardModel.objects.order_by("slug", "-number"):
        for dimension in dict.fromkeys((OVERALL, *(one["key"] for one in model.dimensions))):
            found.append((f"{MODEL}:{model.slug}:{model.number}:{dimension}", _model(model, dimension)))
    found += [(f"{HTTP}:{one.slug}", _http(one)) for one in Endpoint.objects.filter(kind=CHAT).order_by("slug")]
    if dataset is None or is_drawn(dataset):
        found.append((TRUTH, _("%(name)s: only for tests of the method") % {"name": TRUE_SCORE}))
    return found


def _open_activations() -> list[Activation]:
    rows = Activation.objects.filter(dimension=OVERALL, ended_at=None).exclude(judge__kind=REWARD)
    return list(rows.select_related("version__prompt", "judge", "calibration__study"))


def _active(judge: Judge) -> str:
    return _("Active scorers with %(judge)s") % {"judge": judge.name}


def _usual(judge: Judge) -> str:
    return _("%(judge)s with each task's usual prompt") % {"judge": judge.name}


def _with(judge: Judge, version: PromptVersion) -> str:
    return _("%(judge)s with %(prompt)s") % {"judge": judge.name, "prompt": version}


def _model(model: RewardModel, dimension: str) -> str:
    return _("Reward model %(model)s: %(dimension)s") % {"model": model, "dimension": dimension}


def _http(endpoint: Endpoint) -> str:
    return _("Scoring service at %(name)s") % {"name": endpoint.name}


# One that was chosen -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """What a value stands for. ``notices``: what is to be said wherever its scores are. ``face``: what two sources
    must not have in common where one of them is held out. ``entry(tasks)``: the rest of its entry in job.json."""

    label: str
    notices: tuple[str, ...]
    face: Callable[[], frozenset[str]]
    entry: Callable[[Sequence[str]], Spec]


def find(value: str) -> Source:
    """Raises ValidationError where it is gone, or was never there."""
    kind, _colon, rest = value.partition(":")
    finders: Mapping[str, Callable[[str], Source]] = {
        ACTIVE: _find_active, USUAL: _find_usual, JUDGE: _find_judge,
        MODEL: _find_model, HTTP: _find_http, TRUTH: _find_truth,
    }  # fmt: skip
    if kind not in finders:
        raise ValidationError(_("There is no source of reward “%(value)s”.") % {"value": value[:100]})
    return finders[kind](rest)


def label(value: str) -> str:
    """Also of a source that is gone."""
    try:
        return find(value).label
    except ValidationError:
        return value


def notices(values: Collection[str]) -> list[str]:
    """What is to be said of a run with these, each once."""
    found: list[str] = []
    for value in values:
        try:
            found += find(value).notices
        except ValidationError:
            continue
    return [words for words in dict.fromkeys(found) if words]


def same(one: str | Spec, other: str | Spec) -> bool:
    """Whether the two, values or entries, are one judge in truth: the same weights, or the same model with a prompt in
    common. A run that learns from one would not be checked by the other."""
    return not _face(one).isdisjoint(_face(other))


def _face(one: str | Spec) -> frozenset[str]:
    if not isinstance(one, str):
        return frozenset(one["identity"]["face"])
    try:
        return find(one).face()
    except ValidationError:
        return frozenset({one})


def spec(value: str, tasks: Sequence[str], *, weight: float = 1.0, dataset: Dataset | None = None) -> Spec:
    """The entry of job.json for cases of these tasks. ``dataset``: whose cases they are; their requirements go with it,
    and the truth is refused where there is none. Raises ValidationError in the user's words."""
    found = find(value)
    if value == TRUTH and dataset is not None and not is_drawn(dataset):
        words = _("“%(name)s” is not of the drawn world: nobody knows the true score of its edits. Choose a judge.")
        raise ValidationError(words % {"name": dataset.name})
    entry = found.entry(sorted(set(tasks)))
    identity = {**entry.pop("identity"), "value": value, "notices": list(found.notices), "face": sorted(found.face())}
    if "prompt" in entry and dataset is not None:
        rows = dataset.cases.filter(task__in=tasks).exclude(requirement="")
        entry["requirements"] = dict(rows.values_list("key", "requirement"))
    name = TRUE_SCORE if value == TRUTH else found.label
    return {"name": name, "weight": float(weight), **entry, "identity": identity}


# Judges with prompts -------------------------------------------------------------------------------------------------


def _judge(slug: str) -> Judge:
    found = Judge.objects.filter(slug=slug).exclude(kind=REWARD).first()
    if found is None:
        raise ValidationError(_("The judge “%(slug)s” was deleted. Choose another one.") % {"slug": slug})
    return found


def _identity(judge: Judge) -> Identity:
    """Raises ValidationError where the judge cannot be asked now."""
    found = backend(judge.kind)
    if found is None:
        raise ValidationError(_("There is no kind of judge “%(kind)s”.") % {"kind": judge.kind})
    return found.identity(judge.settings)


def _source(
    judge: Judge, name: str, prompts: Callable[[Sequence[str]], dict[str, PromptVersion]], *more: str
) -> Source:
    """``prompts(tasks)``: the version for each task that has one."""

    def face() -> frozenset[str]:
        known = Task.objects.order_by("pk").values_list("pk", flat=True)
        who = _identity(judge)
        return frozenset(f"{who.provider}|{who.model}|{_digest(row)}" for row in prompts(list(known)).values())

    return Source(name, (judge.notice, *more), face, lambda tasks: _judge_entry(judge, prompts(tasks), tasks))


def _judge_entry(judge: Judge, prompts: Mapping[str, PromptVersion], tasks: Sequence[str]) -> Spec:
    names = dict(Task.objects.filter(pk__in=tasks).values_list("pk", "name"))
    if missing := [str(names.get(task, task)) for task in tasks if task not in prompts]:
        words = _("“%(judge)s” has no prompt here for %(tasks)s. Choose another source, or leave these tasks out.")
        raise ValidationError(words % {"judge": judge.name, "tasks": ", ".join(missing)})
    if judge.kind == "transformers" and (why := problem(judge.settings)):
        raise ValidationError(_("“%(judge)s” cannot run: %(why)s") % {"judge": judge.name, "why": why})
    versions = {row.pk: row for row in prompts.values()}
    identity = {
        "judge": judge.slug,
        "asked": json.loads(json.dumps(asdict(_identity(judge)))),
        "versions": [
            {"prompt": row.prompt.slug, "number": row.number, "uid": str(row.uid)} for row in versions.values()
        ],
    }
    return {
        "kind": judge.kind,
        "settings": _settings(judge),
        "passes": judge.passes,
        "prompt": {task: _prompt(str(names.get(task, task)), prompts[task]) for task in tasks},
        "identity": identity,
    }


def _settings(judge: Judge) -> dict[str, Any]:
    """As the judge's program is told of them, with the endpoint's short name."""
    found = backend(judge.kind)
    assert found is not None  # _identity has said so
    given = found.program({name: one for name, one in judge.settings.items() if not name.startswith("endpoint")})
    return {**given, **({"endpoint": judge.settings["endpoint"]} if "endpoint" in judge.settings else {})}


def _prompt(task: str, version: PromptVersion) -> Spec:
    text = asdict(version.text)
    scale = {"low": text["low"], "high": text["high"]}
    return {"task": task, "text": {**text, "questions": list(text["questions"])}, **scale, "questions": _keys(version)}


def _keys(version: PromptVersion) -> list[str]:
    return [question.key for question in version.asked]


def _digest(version: PromptVersion) -> str:
    """Of what is asked: the same text under two names is one prompt."""
    return hashlib.sha256(json.dumps(asdict(version.text), sort_keys=True).encode()).hexdigest()


def _find_active(slug: str) -> Source:
    judge = _judge(slug)
    rows = [row for row in _open_activations() if row.judge_id == judge.pk]
    said = [row.calibration.study.notice for row in rows if row.calibration]

    def prompts(tasks: Sequence[str]) -> dict[str, PromptVersion]:
        return {row.task_id: row.version for row in rows if row.task_id in tasks}

    return _source(judge, _active(judge), prompts, *said)


def _find_usual(slug: str) -> Source:
    def prompts(tasks: Sequence[str]) -> dict[str, PromptVersion]:
        found = choices_of(list(Task.objects.filter(pk__in=tasks)))
        return {one.task.pk: one.usual for one in found if one.usual}

    judge = _judge(slug)
    return _source(judge, _usual(judge), prompts)


def _find_judge(rest: str) -> Source:
    slug, _colon, uid = rest.rpartition(":")
    judge = _judge(slug)
    try:
        version = PromptVersion.objects.filter(uid=uid).select_related("prompt").first()
    except ValidationError:  # no UID at all
        version = None
    if version is None:
        raise ValidationError(_("The version of the prompt was deleted. Choose another one."))

    def prompts(tasks: Sequence[str]) -> dict[str, PromptVersion]:
        return {task: version for task in tasks if version.prompt.task_id in (None, task)}

    return _source(judge, _with(judge, version), prompts)


# Others --------------------------------------------------------------------------------------------------------------


def _find_model(rest: str) -> Source:
    slug, number, dimension = [*rest.split(":", 2), "", ""][:3]
    known = {str(row.number): row for row in RewardModel.objects.filter(slug=slug)}
    found = known.get(number)
    if found is None:
        words = _("There is no reward model “%(model)s” with a version %(number)s: it was deleted.")
        raise ValidationError(words % {"model": slug, "number": number})
    if dimension not in (OVERALL, *(one["key"] for one in found.dimensions)):
        raise ValidationError(_("“%(model)s” has no dimension “%(name)s”.") % {"model": found, "name": dimension})
    settings = {
        "model": found.slug,
        "number": found.number,
        "dimension": dimension,
        "folder": f"{PLACES}/{found.fingerprint}",
        "fingerprint": found.fingerprint,
    }
    named = {"model": found.slug, "number": found.number, "dimension": dimension, "fingerprint": found.fingerprint}
    face = frozenset({f"model|{found.fingerprint}"})
    entry = {"kind": REWARD, "settings": settings, "identity": named}
    return Source(_model(found, dimension), (found.notice,), lambda: face, lambda _tasks: {**entry})


def _find_http(slug: str) -> Source:
    found = Endpoint.objects.filter(slug=slug, kind=CHAT).first()
    if found is None:
        raise ValidationError(_("The endpoint “%(slug)s” was deleted. Choose another source.") % {"slug": slug})
    entry = {
        "kind": "http",
        "settings": {"endpoint": found.slug, "dimension": OVERALL},
        "identity": {"endpoint": found.slug, "address": found.base_url},
    }
    face = frozenset({f"http|{found.base_url}"})
    return Source(_http(found), (), lambda: face, lambda _tasks: {**entry})


def _find_truth(_rest: str) -> Source:
    said = _("Rewarded by the true score of the drawn world: a test of the method, not of a judge.")
    entry = {"kind": "truth", "settings": {}, "identity": {}}
    return Source(TRUE_SCORE, (said,), lambda: frozenset({TRUTH}), lambda _tasks: {**entry})


# For the job ---------------------------------------------------------------------------------------------------------


def environment_of(job: Job) -> dict[str, str]:
    """Addresses and keys of the endpoints that the run asks. Raises JobError."""
    entries = [*job.config.get("rewards", ()), *job.config.get("held_out", ())]
    return environment_for(one["settings"]["endpoint"] for one in entries if one["kind"] in ("endpoint", "http"))


def place(rewards: Sequence[Spec], held_out: Sequence[Spec], folder: Path) -> None:
    """Put what the sources need below ``folder``, the job's; again changes nothing. Raises JobError where a judge was
    deleted or is another than when the run began."""
    for one in (*rewards, *held_out):
        if one["kind"] == REWARD:
            _place_model(one["settings"], folder)
        elif slug := one["identity"].get("judge"):
            _check_judge(slug, one)


def _check_judge(slug: str, entry: Spec) -> None:
    try:
        now = json.loads(json.dumps(asdict(_identity(_judge(slug)))))
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from None
    if now != entry["identity"]["asked"]:
        words = _("“%(name)s” is another judge than when this run began: its model or address changed.")
        raise JobError(words % {"name": entry["name"]})


def _place_model(settings: Mapping[str, Any], folder: Path) -> None:
    """The checkpoint's files as links where the disk is the same: the run can be resumed also when the version was
    deleted meanwhile. They come as a whole or not at all."""
    target = folder / settings["folder"]
    if target.exists():
        return
    named = {"slug": settings["model"], "number": settings["number"], "fingerprint": settings["fingerprint"]}
    found = RewardModel.objects.filter(**named).first()
    if found is None or not folder_of(found).is_dir():
        words = _("The reward model “%(model)s” v%(number)s was deleted.")
        raise JobError(words % {"model": settings["model"], "number": settings["number"]})
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(folder_of(found), part, copy_function=_link)
    part.replace(target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)
