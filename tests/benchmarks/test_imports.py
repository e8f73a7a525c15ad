"""Published files become a benchmark: the import's job, and what follows it."""

from pathlib import Path
from typing import Any

import pytest

from tests.rewards import test_layout_imagenhub as imagenhub
from tests.rewards.benches import inside, parquet
from tests.rewards.test_layout_genai_bench import VOTES, row
from tests.training_sets.make import done
from training.benchmarks import reading, services
from training.models import Benchmark
from training.rewards.groups import pairs_of
from training.rewards.layouts.imagenhub import DIMENSIONS
from training.rewards.protocols import facts

pytestmark = pytest.mark.django_db


def start(layout: str, by: Any) -> Any:
    return services.start_import(
        layout=layout, folder="bench", name="Published", task="add", notice="Research only.", by=by
    )


def test_votes_with_ties_and_both_bad_survive(tmp_path: Path, alice: Any) -> None:
    rows = [row(vote, number) for number, vote in enumerate(VOTES)]
    parquet(tmp_path / "incoming" / "bench" / "test_v1-0.parquet", rows)
    done(start("genai_bench", alice))
    bench = Benchmark.objects.get()
    assert (bench.layout, bench.labelled_set.notice, bench.created_by) == ("genai_bench", "Research only.", alice)
    groups = reading.groups_of(bench)
    assert len(groups) == 4 and len(reading.candidate_ids(groups)) == 8
    outcomes = []
    for group in groups:
        (pair,) = pairs_of(group.labels["overall"], 1.0)
        left = next(place for place, one in enumerate(group.candidates) if one.editor == "magicbrush")
        outcomes.append(pair.outcome if left == pair.first else -pair.outcome)
    assert sorted(outcomes) == [-1, 0, 0, 1]
    assert sum(len(group.labels["overall"].both_bad) for group in groups) == 1
    assert bench.job is not None and inside(0)


def test_single_raters_reach_the_ceiling(tmp_path: Path, alice: Any) -> None:
    imagenhub.bench(tmp_path / "incoming" / "bench", "[1, 0.5]", "[0.5, 0.5]", "[0, 1]")
    done(start("imagenhub", alice))
    bench = Benchmark.objects.get()
    groups = reading.groups_of(bench)
    assert {len(group.raters["overall"]) for group in groups} == {6}
    for group in groups:
        for key, labels in group.labels.items():
            for place, mos in enumerate(labels.mos):
                mine = [score for _rater, at, score in group.raters[key] if at == place]
                assert mos == pytest.approx(sum(mine) / 3)
    assert facts(groups, DIMENSIONS, reading.protocol_of(bench))["ceiling"]["quality"]["annotators"] is not None
