"""The loop's stages as they are shown: each with its number, details, and how much of what reaches it is through."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webapp.dashboard.counts import Counts, total


@dataclass(frozen=True)
class Detail:
    text: str
    count: int
    href: str


@dataclass(frozen=True)
class Stage:
    """``part`` of ``whole`` is through; ``meaning`` says what these count. ``href`` leads to the rows of ``count``."""

    key: str
    name: str
    count: int
    label: str
    href: str
    part: int
    whole: int
    meaning: str
    details: list[Detail]

    @property
    def percent(self) -> int:
        """Whole percent, rounded down: 100 only when nothing is missing."""
        return min(100, 100 * self.part // self.whole) if self.whole else 0


@dataclass(frozen=True)
class Places:
    """Where the rows are: the page of the one data set that has some, or the list of all."""

    datasets: str
    aside: str
    unmade: str
    judged: str


@dataclass(frozen=True)
class Studies:
    """Numbers of studies, of their people, and of the exports made of them."""

    all: int
    open: int
    annotators: int
    judged: int  # studies with an answer
    exported: int  # of these
    exports: int
    pairs: int  # exports of preference pairs


@dataclass(frozen=True)
class Scorers:
    """Numbers of scorers: tasks that have one active, of the tasks that have cases; desks, scored candidates."""

    active: int
    tasks: int
    calibrations: int
    scored: int


@dataclass(frozen=True)
class Rewards:
    """Numbers of reward models, of labelled sets and benchmarks, and of judged studies that are in a set."""

    models: int
    sets: int
    benchmarks: int
    labelled: int


@dataclass(frozen=True)
class Trained:
    """Numbers of editors trained here (and of these: in a benchmark, shown to people blind), of runs, sweeps,
    benchmarks of editors and blind proofs."""

    editors: int
    benchmarked: int
    proven: int
    runs: int
    sweeps: int
    benchmarks: int
    proofs: int


@dataclass(frozen=True)
class Numbers:
    """What was made of the candidates."""

    studies: Studies
    scorers: Scorers
    rewards: Rewards
    trained: Trained


def stages(counts: Counts, places: Places, numbers: Numbers) -> list[Stage]:
    """Import, generate, annotate, aggregate, calibrate, train a reward model, post-train the editor, prove, export."""
    return [
        _import(counts, places),
        _generate(counts, places),
        _annotate(counts, numbers.studies),
        _aggregate(counts, places),
        _calibrate(numbers.scorers),
        _train(numbers.rewards, numbers.studies),
        _posttrain(numbers.trained),
        _prove(numbers.trained),
        _export(numbers.studies),
    ]


def _import(counts: Counts, places: Places) -> Stage:
    sources = ngettext("source image", "source images", counts.sources)
    return Stage(
        key="import",
        name=_("Import"),
        count=counts.cases,
        label=ngettext("case", "cases", counts.cases),
        href=places.datasets,
        part=counts.categorised,
        whole=counts.sources,
        meaning=_("of the source images have a category"),
        details=[Detail(sources, counts.sources, places.datasets)],
    )


def _generate(counts: Counts, places: Places) -> Stage:
    details = [Detail(_("set aside"), total(counts.aside), places.aside)]
    if counts.unmade:
        details.append(Detail(_("could not be made"), counts.unmade, places.unmade))
    return Stage(
        key="generate",
        name=_("Generate"),
        count=counts.usable,
        label=ngettext("usable candidate", "usable candidates", counts.usable),
        href=places.datasets,
        part=counts.covered,
        whole=counts.cases,
        meaning=_("of the cases have candidates"),
        details=details,
    )


def _annotate(counts: Counts, studies: Studies) -> Stage:
    page = reverse("studies")
    return Stage(
        key="annotate",
        name=_("Annotate"),
        count=counts.given,
        label=ngettext("answer", "answers", counts.given),
        href=page,
        part=counts.given,
        whole=counts.wanted,
        meaning=_("of the answers wanted are given"),
        details=[
            Detail(ngettext("open study", "open studies", studies.open), studies.open, page),
            Detail(ngettext("annotator", "annotators", studies.annotators), studies.annotators, page),
        ],
    )


def _aggregate(counts: Counts, places: Places) -> Stage:
    return Stage(
        key="aggregate",
        name=_("Aggregate"),
        count=counts.marks,
        label=ngettext("score or rank", "scores and ranks", counts.marks),
        href=reverse("studies"),
        part=counts.judged,
        whole=counts.candidates,
        meaning=_("of the candidates are judged"),
        details=[
            Detail(ngettext("candidate judged", "candidates judged", counts.judged), counts.judged, places.judged)
        ],
    )


def _calibrate(scorers: Scorers) -> Stage:
    page = reverse("calibrations")
    return Stage(
        key="calibrate",
        name=_("Calibrate"),
        count=scorers.active,
        label=ngettext("active scorer", "active scorers", scorers.active),
        href=page,
        part=min(scorers.active, scorers.tasks),
        whole=scorers.tasks,
        meaning=_("of the tasks with cases have one"),
        details=[
            Detail(ngettext("calibration", "calibrations", scorers.calibrations), scorers.calibrations, page),
            Detail(ngettext("score by a judge", "scores by judges", scorers.scored), scorers.scored, reverse("judges")),
        ],
    )


def _train(rewards: Rewards, studies: Studies) -> Stage:
    page, sets = reverse("reward_models"), reverse("labelled_sets")
    return Stage(
        key="train",
        name=_("Train reward model"),
        count=rewards.models,
        label=ngettext("reward model", "reward models", rewards.models),
        href=page,
        part=rewards.labelled,
        whole=studies.judged,
        meaning=_("of the judged studies are in a training set"),
        details=[
            Detail(ngettext("training set", "training sets", rewards.sets), rewards.sets, sets),
            Detail(ngettext("benchmark", "benchmarks", rewards.benchmarks), rewards.benchmarks, reverse("benchmarks")),
        ],
    )


def _posttrain(trained: Trained) -> Stage:
    page, benchmarks = reverse("runs"), reverse("editor_benchmarks")
    return Stage(
        key="posttrain",
        name=_("Post-train"),
        count=trained.editors,
        label=ngettext("trained editor", "trained editors", trained.editors),
        href=page,
        part=trained.benchmarked,
        whole=trained.editors,
        meaning=_("of them are in a benchmark"),
        details=[
            Detail(ngettext("run", "runs", trained.runs), trained.runs, page),
            Detail(ngettext("benchmark", "benchmarks", trained.benchmarks), trained.benchmarks, benchmarks),
        ],
    )


def _prove(trained: Trained) -> Stage:
    page = reverse("proofs")
    return Stage(
        key="prove",
        name=_("Prove"),
        count=trained.proofs,
        label=ngettext("blind proof", "blind proofs", trained.proofs),
        href=page,
        part=trained.proven,
        whole=trained.editors,
        meaning=_("of the trained editors were shown blind"),
        details=[],
    )


def _export(studies: Studies) -> Stage:
    page = reverse("exports")
    return Stage(
        key="export",
        name=_("Export"),
        count=studies.exports,
        label=ngettext("export", "exports", studies.exports),
        href=page,
        part=studies.exported,
        whole=studies.judged,
        meaning=_("of the judged studies are exported"),
        details=[Detail(_("of preference pairs"), studies.pairs, page)],
    )
