"""All figures of a benchmark from what was read: by measure, the change against the base, and people's means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.stats.grouped import Floats
from training.editor_benchmarks.reading import Human, Read, human_of
from training.editor_benchmarks.styles import Scale, measures_of, scale_of
from training.models import EditorBenchmark, Style
from training.posttraining.editor_figures import Figures, case_means, changes, figures, in_all


@dataclass(frozen=True)
class Compared:
    """``plain`` by measure, a Figures for each editor; ``change`` of the first measure against the ``base`` (a place);
    ``human``: people's means of the same images. ``cases``: that count, ``common`` says which."""

    found: Read
    scale: Scale
    measures: tuple[str, ...]
    plain: dict[str, list[Figures]]
    change: list[Figures] | None
    human: list[Figures] | None
    simulated: bool
    base: int | None
    common: bool
    cases: int

    @property
    def main(self) -> list[Figures]:
        return self.plain[self.measures[0]]


def compare(benchmark: EditorBenchmark, found: Read, common: bool = False, people: bool = True) -> Compared:
    """``common``: only cases that every editor has in the first measure. Two queries, for ``people``'s scores."""
    measures, scale = measures_of(benchmark), scale_of(benchmark, found.versions)
    means = {name: found.means(name) for name in measures}
    first = means[measures[0]]
    kept = in_all(first) if common and found.editors else np.ones(len(found.cases), bool)
    task, source = found.task[kept], found.source[kept]
    tasks = len(found.tasks)
    if benchmark.style == Style.DREAM:  # its figures are means over all images
        task, tasks = np.zeros(task.size, np.int64), 1
    base = found.place_of(benchmark.base_id)

    def of(values: Floats) -> list[Figures]:
        return figures(values[:, kept], task, source, tasks)

    human: Human | None = None
    if people and benchmark.style == Style.HP:
        human = human_of(benchmark, found, scale.low, scale.high)
        human = human if human.judged.any() else None
    return Compared(
        found=found,
        scale=scale,
        measures=measures,
        plain={name: of(values) for name, values in means.items()},
        change=None if base is None else of(changes(first, base)),
        human=of(case_means(human.values)) if human else None,
        simulated=bool(human and human.simulated),
        base=base,
        common=common,
        cases=int(kept.sum()),
    )
