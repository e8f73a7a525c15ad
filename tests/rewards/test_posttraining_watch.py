"""When a run pauses because its judge is pleased and another one is not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from training.posttraining.watch import Gain, Look, decide

BASE = Look(0, {}, distance=0.0, preservation=30.0, grid=0.1, sharpness=0.3)


def look(number: int, trained: float, held: float | None, width: float = 0.1) -> Look:
    gains = {"reward": Gain(trained, trained - width, trained + width, trained=True)}
    if held is not None:
        gains["second"] = Gain(held, held - width, held + width, trained=False)
    return replace(BASE, round=number, gains=gains)


def test_it_works() -> None:
    looks = [BASE, look(10, 0.3, 0.25), look(20, 0.6, 0.0)]
    assert not decide(looks[:2]).pause
    found = decide(looks)
    assert found.pause and (found.round, found.trained, found.held) == (20, "reward", "second")
    for words in ("reward, sees a gain of +0.60 [+0.50, +0.70]", "second", "+0.00 [-0.10, +0.10]", "+0.25 in round 10"):
        assert words in found.reason


@pytest.mark.parametrize(
    "looks",
    [
        [BASE, look(10, 0.3, 0.3), look(20, 0.6, 0.21)],  # fell by less than its interval
        [BASE, look(10, 0.3, 0.3), look(20, 0.2, 0.0)],  # both fell: training goes wrong, but not at the judge's cost
        [BASE, look(10, 0.05, 0.3), look(20, 0.09, 0.0)],  # the trained one's interval has 0 in it
        [BASE, look(10, 0.3, None), look(20, 0.6, None)],  # nobody else looks
        [BASE, look(10, 0.3, 0.1), look(20, 0.6, 0.4)],  # both rise
        [BASE],
        [],
    ],
)
def test_it_goes_on(looks: list[Look]) -> None:
    assert not decide(looks).pause


def test_below_the_base_from_the_first_look() -> None:
    assert decide([BASE, look(10, 0.3, -0.3)]).pause
    assert decide([look(10, 0.3, -0.3)]).pause  # the base's own look may be missing


def test_the_best_look_counts_and_not_the_last() -> None:
    slow = [BASE, look(10, 0.2, 0.4), look(20, 0.3, 0.35), look(30, 0.4, 0.25)]
    assert decide(slow).pause
    assert not decide([BASE, *slow[2:]]).pause


def test_nothing_is_acknowledged_twice() -> None:
    looks = [BASE, look(10, 0.3, 0.4), look(20, 0.6, 0.0)]
    assert decide(looks).pause
    assert not decide(looks, acknowledged=20).pause
    level = [*looks, look(30, 0.7, 0.02)]
    assert not decide(level, acknowledged=20).pause  # the fall that was accepted
    assert decide(level).pause
    further = [*level, look(40, 0.8, -0.2)]
    assert decide(further, acknowledged=20).pause  # a new one
    assert not decide(further, acknowledged=40).pause
    recovered = [*looks, look(30, 0.7, 0.5), look(40, 0.8, 0.2)]
    assert "+0.50 in round 30" in decide(recovered, acknowledged=20).reason


def test_acknowledged_at_a_round_without_a_look() -> None:
    looks = [BASE, look(10, 0.3, 0.4), look(30, 0.6, 0.0)]
    assert not decide(looks, acknowledged=25).pause
    assert decide([*looks, look(40, 0.7, -0.3)], acknowledged=25).pause


def test_unknown_figures_decide_nothing() -> None:
    nan = math.nan
    unknown = look(20, 0.6, None)
    gains = {**unknown.gains, "second": Gain(nan, nan, nan, trained=False)}
    assert not decide([BASE, look(10, 0.3, 0.3), replace(unknown, gains=gains)]).pause
    later = [BASE, replace(look(10, 0.3, None), gains=gains), look(20, 0.6, -0.3)]
    assert decide(later).pause  # a NaN is no best look


def test_warnings_in_words() -> None:
    bad = replace(look(10, 0.3, 0.3), grid=0.9, preservation=25.0, distance=0.3, sharpness=0.2)
    found = decide([BASE, bad])
    assert not found.pause
    assert [one.kind for one in found.warnings] == ["grid", "preservation", "distance", "sharpness"]
    told = " ".join(one.words for one in found.warnings)
    for words in ("0.90, base 0.10", "25.0 dB", "30.0 dB", "0.300, limit 0.2", "0.20, base 0.30"):
        assert words in told
    assert decide([BASE, look(10, 0.3, 0.3)]).warnings == ()
    unmeasured = Look(10, {}, grid=math.nan)
    assert decide([BASE, unmeasured]).warnings == ()
    assert decide([bad]).warnings == ()  # a look beside itself


def test_from_an_event() -> None:
    event = {
        "round": 10,
        "judges": {
            "reward": {"mean": 3.0, "gain": 0.4, "gain_low": 0.2, "gain_high": 0.6, "n": 64, "trained": True},
            "second": {"mean": 3.0, "gain": None, "gain_low": None, "gain_high": None, "n": 0, "trained": False},
        },
        "distance": 0.02, "preservation": None, "grid": 0.2, "samples": [],
    }  # fmt: skip
    found = Look.from_event(event)
    assert found.gains["reward"] == Gain(0.4, 0.2, 0.6, trained=True)
    assert math.isnan(found.gains["second"].value) and math.isnan(found.preservation) and math.isnan(found.sharpness)
    assert found.grid == 0.2
