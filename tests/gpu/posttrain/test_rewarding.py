"""Rewards in the background: combined, in order, with what is missing told, and closed cleanly."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.gpu.posttrain.rewarding import OTHER, Told, samples
from training.gpu.posttrain.rewarding import Judged, Reasons, Rewarder, Sample, load_sources
from training.gpu.posttrain.rewarding.rewarder import UNTOLD
from training.gpu.posttrain.rewarding.truth import NAME
from training.posttraining.rewards import RewardSpec
from webapp.jobs.folder import JobError

SPEC = RewardSpec()
GRADES = [0.9, 0.5, 0.1]


def graded(some: Sequence[Sample]) -> list[float | None]:
    return [GRADES[int(one.key[-1])] for one in some]


def test_it_works() -> None:
    with Rewarder([Told("one", graded)], SPEC) as rewarder:
        rewards = rewarder.submit(samples()).result(20)
    assert rewards.values.shape == (3,) and rewards.values[0] > rewards.values[1] > rewards.values[2]
    assert rewards.raw == {"one": GRADES} and rewards.judged["one"][0] == Judged(0.9, None, 0.0, 1.0)
    assert rewards.reasons == {} and rewards.missing == 0.0


def test_a_group_is_judged_while_the_next_one_is_sampled() -> None:
    """The judge waits for what happens after the group was handed over."""
    begun, sampled = threading.Event(), threading.Event()

    def slow(some: Sequence[Sample]) -> list[float | None]:
        begun.set()
        assert sampled.wait(20)
        return graded(some)

    with Rewarder([Told("slow", slow)], SPEC) as rewarder:
        future = rewarder.submit(samples())
        assert begun.wait(20) and not future.done()
        sampled.set()
        assert len(future.result(20).values) == 3


def test_sources_are_asked_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)

    def together(some: Sequence[Sample]) -> list[float | None]:
        both.wait()
        return graded(some)

    with Rewarder([Told("one", together), Told("two", together)], SPEC) as rewarder:
        assert set(rewarder.submit(samples()).result(20).raw) == {"one", "two"}


def test_results_are_those_of_their_own_samples_in_order() -> None:
    """Also where the first call takes longest; a source is never asked twice at once."""
    asked: list[str] = []
    second = threading.Event()

    def noted(some: Sequence[Sample]) -> list[float | None]:
        asked.append(some[0].case.key)
        if len(asked) == 1:
            second.wait(20)
        return [len(asked) / 10 for _one in some]

    with Rewarder([Told("one", noted)], SPEC) as rewarder:
        futures = [rewarder.submit(samples(key=key)) for key in "abc"]
        second.set()
        found = [future.result(20).raw["one"][0] for future in futures]
    assert asked == ["a", "b", "c"] and found == [0.1, 0.2, 0.3]


def test_weights_decide_between_two_sources() -> None:
    def other_way(some: Sequence[Sample]) -> list[float | None]:
        return [1 - (value or 0) for value in graded(some)]

    for weights, best in (({"one": 3.0, "two": 1.0}, 0), ({"one": 1.0, "two": 3.0}, 2)):
        with Rewarder([Told("one", graded), Told("two", other_way)], RewardSpec(weights=weights)) as rewarder:
            rewards = rewarder.submit(samples()).result(20)
        assert int(np.argmax(rewards.values)) == best
        assert rewards.raw == {"one": GRADES, "two": pytest.approx([0.1, 0.5, 0.9])}


class Down(Told, Reasons):
    """A source that has no answers while it is down."""

    def __init__(self) -> None:
        Told.__init__(self, "down", self._say)
        Reasons.__init__(self)
        self.is_down = True

    def _say(self, some: Sequence[Sample]) -> list[float | None]:
        if not self.is_down:
            return graded(some)
        self.missing("The service is in trouble.", len(some))
        return [None] * len(some)


def test_a_judge_that_is_down_for_a_while_changes_the_missing_share_and_nothing_else() -> None:
    source = Down()
    with Rewarder([source], SPEC) as rewarder:
        during = rewarder.submit(samples()).result(20)
        source.is_down = False
        after = rewarder.submit(samples()).result(20)
    with Rewarder([Told("down", graded)], SPEC) as rewarder:
        never = rewarder.submit(samples()).result(20)
    assert np.isnan(during.values).all() and np.isnan(during.raw["down"]).all() and during.missing == 1.0
    assert during.reasons == {"The service is in trouble.": 3}
    assert after.reasons == {} and np.array_equal(after.values, never.values)


def test_a_single_missing_answer_is_nan_and_never_a_low_reward() -> None:
    def some_missing(some: Sequence[Sample]) -> list[float | None]:
        return [None, *graded(some)[1:]]

    with Rewarder([Told("one", some_missing)], SPEC) as rewarder:
        rewards = rewarder.submit(samples()).result(20)
    assert np.isnan(rewards.values).tolist() == [True, False, False]
    assert rewards.missing == pytest.approx(1 / 3) and rewards.reasons == {UNTOLD: 1}


def test_groups_do_not_mix() -> None:
    """A group's rewards are the same whether another one comes with it or not."""
    with Rewarder([Told("one", graded)], SPEC) as rewarder:
        alone = rewarder.submit(samples()).result(20)
        both = rewarder.submit([*samples(), *samples(OTHER, "b", 2)]).result(20)
    assert np.array_equal(both.values[:3], alone.values)


def test_a_mistake_of_the_program_surfaces_and_the_next_call_goes_on() -> None:
    def broken(some: Sequence[Sample]) -> list[float | None]:
        if some[0].case.key == "a":
            raise ZeroDivisionError
        return [0.5] if some[0].case.key == "b" else graded(some)

    with Rewarder([Told("one", broken)], SPEC) as rewarder:
        futures = [rewarder.submit(samples(key=key)) for key in "abc"]
        with pytest.raises(ZeroDivisionError):
            futures[0].result(20)
        with pytest.raises(ValueError, match="1 answers to 3 samples"):
            futures[1].result(20)
        assert futures[2].result(20).raw == {"one": GRADES}


def test_closing_cancels_what_waits_and_closes_the_sources() -> None:
    begun, go = threading.Event(), threading.Event()

    def held(some: Sequence[Sample]) -> list[float | None]:
        begun.set()
        assert go.wait(20)
        return graded(some)

    source = Told("one", held)
    rewarder = Rewarder([source], SPEC)
    first, second = rewarder.submit(samples()), rewarder.submit(samples())
    assert begun.wait(20)
    closing = threading.Thread(target=rewarder.close)
    closing.start()
    with pytest.raises((CancelledError, RuntimeError)):
        second.result(20)
    go.set()
    closing.join(20)
    assert not closing.is_alive() and source.stopped and source.closed == 1
    assert len(first.result(20).values) == 3
    with pytest.raises(RuntimeError):
        rewarder.submit(samples())
    rewarder.close()


def test_sources_without_names_of_their_own_are_refused() -> None:
    for sources in ([], [Told("one", graded), Told("one", graded)]):
        with pytest.raises(ValueError, match="names that differ"):
            Rewarder(sources, SPEC)


# Of a job -----------------------------------------------------------------------------------------------------------

TRUTH = {"name": NAME, "kind": "truth", "settings": {}, "weight": 3.0}


def test_a_jobs_entries_become_sources_with_their_weights(tmp_path: Path) -> None:
    """The weight of an entry counts where the RewardSpec does not name its source."""
    spec = RewardSpec(alpha=1.0, beta=2.5)
    with Rewarder([*load_sources([TRUTH], tmp_path), Told("one", graded)], spec) as rewarder:
        assert rewarder.spec.weights == {NAME: 3.0, "one": 1.0}
        rewards = rewarder.submit(samples()).result(20)
    scores = [(3 * 5 + 0.9 * 5) / 4, (3 * 0 + 0.1 * 5) / 4]
    assert rewards.values[[0, 2]] == pytest.approx([1 / (1 + np.exp(2.5 - score)) for score in scores])
    with Rewarder(load_sources([TRUTH], tmp_path), RewardSpec(weights={NAME: 0.5})) as rewarder:
        assert rewarder.spec.weights == {NAME: 0.5}


def test_what_is_left_alone_counts_where_the_spec_says_so(tmp_path: Path) -> None:
    with Rewarder(load_sources([TRUTH], tmp_path), RewardSpec(preservation=1.0)) as rewarder:
        assert rewarder.submit(samples(), np.array([15.0, 25.0, 35.0])).result(20).values == pytest.approx([0, 0.5, 1])
        with pytest.raises(ValueError, match="told for each sample"):
            rewarder.submit(samples()).result(20)


@pytest.mark.parametrize(
    ("weight", "words"), [(-1, "weight of"), ("much", "weight of"), (float("nan"), "weight of"), (0, "the weight 0")]
)
def test_wrong_weights_are_refused(weight: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=words):
        Rewarder(load_sources([{**TRUTH, "weight": weight}], tmp_path), SPEC)
