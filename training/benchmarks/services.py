"""Writes: make a benchmark of a labelled set or of published files, run a scorer on it, compute its figures."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from scoring.asking import jobs as asking
from scoring.asking import selections
from scoring.models import Judge, PromptVersion
from training.benchmarks import reading
from training.models import Benchmark, BenchmarkResult, LabelledSet
from training.models.rewards import SetState
from training.rewards import protocols
from training.rewards.groups import TEST
from training.rewards.layouts import LayoutError, layout
from training.rewards.protocols import GROUPS, NONE, SUBSETS, Protocol, WrongProtocol
from training.sets import imports
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

KIND = "reward-benchmark"
FOLLOWER = "benchmark"
TUPLES = {"editreward_bench": GROUPS, "genai_bench": NONE, "aurora_bench": NONE, "editscore_bench": NONE}
LAYOUTS = ("genai_bench", "aurora_bench", "imagenhub", "editreward_bench", "editscore_bench", "ebench18k")
MOST_CANDIDATES = 100_000


# Make ----------------------------------------------------------------------------------------------------------------


@transaction.atomic
def start_import(*, layout: str, folder: str, name: str, task: str, notice: str, by: User | None) -> LabelledSet:
    """A job that reads published files and makes a labelled set and a benchmark of it. Raises ValidationError."""
    if layout not in LAYOUTS:
        raise ValidationError({"layout": _("There is no benchmark of this layout.")})
    then = {"name": FOLLOWER}
    return imports.start_import(layout=layout, folder=folder, name=name, task=task, notice=notice, by=by, then=then)


def from_import(labelled_set: LabelledSet, _then: dict[str, Any]) -> None:
    """What follows an import: the benchmark, of which every group counts. Repeats change nothing."""
    if not Benchmark.objects.filter(labelled_set=labelled_set).exists():
        make(labelled_set=labelled_set, by=labelled_set.created_by, layout=labelled_set.origin["layout"])


@transaction.atomic
def make(*, labelled_set: LabelledSet, by: User | None, layout: str = "") -> Benchmark:
    """Make a labelled set a benchmark, and start computing what is known without any scorer. Raises ValidationError.

    Of published benchmarks every group counts; of other sets the test part alone, where they have one: a model may
    have been trained on the rest. A set that was made here from studies must have one.
    """
    if labelled_set.state != SetState.READY:
        raise ValidationError(_("This set is not ready. Wait for its job, or look at why it failed."))
    if Benchmark.objects.filter(labelled_set=labelled_set).exists():
        raise ValidationError(_("This set is a benchmark already."))
    has_test = labelled_set.facts.get("splits", {}).get(TEST, 0) > 0
    if labelled_set.origin.get("kind") == "studies" and not has_test:
        words = _("This set has no test part, so models learn from all of it. Freeze one with more source images.")
        raise ValidationError(words)
    splits = () if layout or not has_test else (TEST,)
    protocol = Protocol(tuples=TUPLES.get(layout, SUBSETS), splits=splits)
    made = Benchmark(labelled_set=labelled_set, layout=layout, protocol=protocol.to_json(), created_by=by)
    made.full_clean()
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError:  # a second press at the same time
        raise ValidationError(_("This set is a benchmark already.")) from None
    return start_computing(benchmark=made, by=by)


@transaction.atomic
def delete(*, benchmark: Benchmark) -> None:
    """The results go with it; scores and the labelled set stay. Raises ValidationError while its figures are made."""
    if benchmark.job is not None and benchmark.job.is_active:
        raise ValidationError(_("A job computes its figures now. Cancel the job first."))
    benchmark.delete()


# Run -----------------------------------------------------------------------------------------------------------------


def start_run(*, benchmark: Benchmark, judge: Judge, version: PromptVersion, by: User | None) -> Job:
    """A scoring job over the benchmark's candidates, after which its figures are computed. Raises ValidationError."""
    try:
        keys = reading.candidate_ids(reading.groups_of(benchmark))
    except JobError as error:
        raise ValidationError(str(error)) from None
    if len(keys) > MOST_CANDIDATES:
        message = _("The benchmark has %(count)d candidates; the limit is %(most)d.")
        raise ValidationError(message % {"count": len(keys), "most": MOST_CANDIDATES})
    if not keys:
        raise ValidationError(_("None of the benchmark's candidates is there any more."))
    return asking.start_scoring(
        versions=[version],
        judge=judge,
        selection=selections.of_candidates(keys),
        by=by,
        then={"name": FOLLOWER, "benchmark": str(benchmark.uid)},
    )


def after_scoring(job: Job) -> None:
    """What follows a scoring job: its figures are asked for. A benchmark that was deleted meanwhile needs none."""
    benchmark = Benchmark.objects.filter(uid=job.config["then"]["benchmark"]).first()
    judge = Judge.objects.filter(slug=job.config["judge"]["slug"]).first()
    if benchmark is None or judge is None:
        return
    for version in PromptVersion.objects.filter(uid__in=job.config["versions"]):
        row, _made = BenchmarkResult.objects.get_or_create(benchmark=benchmark, version=version, judge=judge)
        row.job = job
        row.save(update_fields=["job"])
    start_computing(benchmark=benchmark, by=job.created_by, versions=job.config["versions"], judge=judge)


# Compute -------------------------------------------------------------------------------------------------------------


@transaction.atomic
def start_computing(
    *, benchmark: Benchmark, by: User | None, versions: list[str] | None = None, judge: Judge | None = None
) -> Benchmark:
    """A job that computes the figures anew: of one scorer, or of all."""
    wanted = {"versions": versions or [], "judge": judge.slug if judge else ""}
    title = _("Figures of %(name)s") % {"name": benchmark}
    benchmark.job = jobs.start(kind=KIND, title=title, config={"benchmark": str(benchmark.uid), **wanted}, by=by)
    benchmark.save(update_fields=["job"])
    return benchmark


def compute_facts(benchmark: Benchmark, groups: list[Any]) -> None:
    """Counts, ceiling and scorers that know nothing. Raises JobError."""
    dimensions = reading.dimensions_of(benchmark.labelled_set)
    try:
        benchmark.facts = protocols.facts(groups, dimensions, reading.protocol_of(benchmark))
    except WrongProtocol as error:
        raise JobError(str(error)) from None
    benchmark.save(update_fields=["facts"])


def compute(result: BenchmarkResult, groups: list[Any]) -> None:
    """The figures of one scorer from its scores as they are now. Raises JobError.

    ``figures`` also says up to when scores were read ("read"), and what a reward model has seen ("seen").
    """
    benchmark = result.benchmark
    read = reading.newest_score(result)  # before the scores: a change in between is noticed
    scores = reading.scores_of(result.version, result.judge, groups)
    try:
        found = protocols.measure(
            groups, reading.dimensions_of(benchmark.labelled_set), scores, reading.protocol_of(benchmark)
        )
    except WrongProtocol as error:
        raise JobError(str(error)) from None
    result.figures = {**found, "read": read, "seen": reading.seen_by(result.judge, groups)}
    result.scored = len(scores)
    result.save(update_fields=["figures", "scored", "updated_at"])


def label_of(name: str) -> str:
    """A layout's name for people; the short name where the layout is gone."""
    try:
        return layout(name).LABEL
    except LayoutError:
        return name
