"""Filling a benchmark: images that are missing, then scores that are missing, by the product's own jobs.

A press starts the first jobs; ``look`` goes on by the clock, so that nothing waits for a page to be open.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import structlog
from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.db.models import Avg
from django.utils.translation import gettext as _

from annotation.models import Candidate
from scoring.asking.backends import backend
from scoring.asking.jobs import start_scoring
from scoring.asking.queries import used_by
from scoring.asking.selections import of_candidates
from training.editor_benchmarks import likeness
from training.editor_benchmarks.reading import MISSING, Read, read
from training.generation import start_generation
from training.models import EditorBenchmark, Stage, Style
from webapp.accounts.models import User
from webapp.jobs.models import RESUMABLE, Job

logger = structlog.get_logger()
ORDER = (Stage.IMAGES, Stage.SCORES)


@dataclass(frozen=True)
class Needs:
    """What filling takes. ``images`` can be made here, ``elsewhere`` cannot; ``seconds`` of making them, ``cost`` of
    the ``calls``; None: not known. Calls for images that are to be made are among them."""

    images: int
    elsewhere: int
    open: int
    calls: int
    seconds: float | None
    cost: float | None
    priced: bool

    @property
    def minutes(self) -> int:
        return ceil((self.seconds or 0) / 60)

    @property
    def anything(self) -> bool:
        return bool(self.images or self.open)


def needs_of(benchmark: EditorBenchmark, found: Read) -> Needs:
    """Two or three queries."""
    missing = {row.pk: int((found.state[place] == MISSING).sum()) for place, row in enumerate(found.editors)}
    here = {row.pk: missing[row.pk] for row in found.editors if row.module and missing[row.pk]}
    means = Candidate.objects.filter(editor__in=here).order_by().values_list("editor").annotate(mean=Avg("seconds"))
    each = {pk: mean for pk, mean in means if mean is not None}
    images, asked = sum(here.values()), sum(map(len, found.asking.values()))
    seconds = sum(count * each[pk] for pk, count in here.items()) if here.keys() <= each.keys() else None
    judge = benchmark.judge
    if judge is None:
        return Needs(images, sum(missing.values()) - images, asked, 0, seconds, None, False)
    each_sample = 2 if benchmark.style == Style.GEDIT else 1
    calls = (asked + images * each_sample) * judge.passes
    mean, kind = used_by(judge).cost, backend(judge.kind)
    cost = None if mean is None else calls * mean
    priced = bool(kind and kind.priced(judge.settings))
    return Needs(images, sum(missing.values()) - images, asked, calls, seconds, cost, priced)


# A press -------------------------------------------------------------------------------------------------------------


@transaction.atomic
def fill(*, benchmark: EditorBenchmark, most_cost: float | None, by: User | None) -> EditorBenchmark:
    """Start what is missing. Raises ValidationError; then nothing is started."""
    found = _locked(benchmark.pk)
    if found.stage:
        raise ValidationError(_("The benchmark is being filled already."))
    there = read(found)
    needs = needs_of(found, there)
    if not needs.anything:
        if needs.elsewhere:
            words = _("%(count)d images are missing, of editors that no program here runs. Import them.")
            raise ValidationError(words % {"count": needs.elsewhere})
        raise ValidationError(_("Nothing is missing."))
    if most_cost is not None and not needs.priced:
        words = _("Costs of this judge are not known: give its endpoint prices, or leave the limit empty.")
        raise ValidationError({"most_cost": words})
    found.most_cost, found.message = most_cost, ""
    _begin(found, there, Stage.IMAGES, by)
    return found


# By the clock --------------------------------------------------------------------------------------------------------


def look() -> int:
    """Take up every benchmark that is being filled. One that fails does not keep the others."""
    keys = list(EditorBenchmark.objects.exclude(stage="").order_by("pk").values_list("pk", flat=True))
    for key in keys:
        try:
            advance(key=key)
        except OperationalError as error:  # the database is away, or locked: the next look
            logger.warning("benchmark of editors not looked at", benchmark=key, error=str(error))
        except Exception as error:  # the boundary of the look: the page must say it
            logger.exception("benchmark of editors failed", benchmark=key)
            EditorBenchmark.objects.filter(pk=key).update(stage="", message=str(error) or repr(error))
    return len(keys)


@transaction.atomic
def advance(*, key: int) -> None:
    """Go on with the next stage where the jobs of this one are over. Of two at once the second changes nothing."""
    benchmark = EditorBenchmark.objects.select_for_update(of=("self",)).filter(pk=key).first()
    if benchmark is None or not benchmark.stage:
        return
    mine = list(benchmark.jobs.select_related("created_by").order_by("pk"))
    if any(job.is_active for job in mine):
        return
    if ended := [job for job in mine if job.state in RESUMABLE]:
        words = _("“%(job)s” ended without a result. What it made is kept; fill again to go on.")
        _stop(benchmark, words % {"job": ended[0].title})
        return
    following = ORDER[ORDER.index(Stage(benchmark.stage)) + 1 :]
    if not following:
        _stop(benchmark, "")
        return
    try:
        with transaction.atomic():
            _begin(benchmark, read(benchmark), following[0], mine[0].created_by if mine else None)
    except ValidationError as error:
        _stop(benchmark, " ".join(error.messages))


def _begin(benchmark: EditorBenchmark, there: Read, stage: Stage, by: User | None) -> None:
    """Start the jobs of the stage, or of the next one where it has none."""
    starts = {Stage.IMAGES: _images, Stage.SCORES: _scores}
    for one in ORDER[ORDER.index(stage) :]:
        if begun := starts[one](benchmark, there, by):
            benchmark.stage = one
            benchmark.save(update_fields=["stage", "message", "most_cost"])
            benchmark.jobs.set(begun)
            return
    _stop(benchmark, "")


def _stop(benchmark: EditorBenchmark, message: str) -> None:
    benchmark.stage, benchmark.message = "", message
    benchmark.save(update_fields=["stage", "message", "most_cost"])


def _images(benchmark: EditorBenchmark, there: Read, by: User | None) -> list[Job]:
    makers = [row for place, row in enumerate(there.editors) if row.module and (there.state[place] == MISSING).any()]
    if not makers:
        return []
    tasks = list(benchmark.asked["versions"]) if benchmark.asked.get("left_out") else []
    splits = [benchmark.split] if benchmark.split else []
    return [
        start_generation(
            dataset=benchmark.dataset, editors=makers, seeds=benchmark.seeds, tasks=tasks, splits=splits, by=by
        )
    ]


def _scores(benchmark: EditorBenchmark, there: Read, by: User | None) -> list[Job]:
    """A job for each version. A spending limit is shared out by the numbers of candidates."""
    if benchmark.style == Style.DREAM:
        keys = there.asking.get(0, [])
        return [likeness.start(benchmark=benchmark, candidates=keys, by=by)] if keys else []
    versions = {version.pk: version for version in there.versions.values()}
    total = sum(map(len, there.asking.values()))
    assert benchmark.judge is not None or not total
    return [
        start_scoring(
            versions=[versions[pk]],
            judge=benchmark.judge,  # type: ignore[arg-type]
            selection=of_candidates(keys),
            by=by,
            most_cost=None if benchmark.most_cost is None else benchmark.most_cost * len(keys) / total,
        )
        for pk, keys in sorted(there.asking.items())
    ]


def _locked(key: int) -> EditorBenchmark:
    rows = EditorBenchmark.objects.select_for_update(of=("self",)).select_related("dataset", "judge")
    return rows.get(pk=key)
