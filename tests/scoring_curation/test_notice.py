"""What a set must say of itself when it is made of scores: the words that matter are never cut away."""

from types import SimpleNamespace
from typing import Any

import pytest

from annotation.models import Dataset
from scoring.filtering import making

JUDGE = "Demo judge, not a VLM."


def notice(own: str, *judges: str) -> str:
    scorers: dict[str, Any] = {
        str(place): SimpleNamespace(judge=SimpleNamespace(notice=one), version=SimpleNamespace(pk=0))
        for place, one in enumerate(judges)
    }
    return making.notice_of(Dataset(notice=own), scorers)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_is_simulated", lambda _scorers: True)


@pytest.mark.django_db
def test_it_works() -> None:
    assert notice("Demo data.", JUDGE, JUDGE) == f"{JUDGE} · Demo data."
    assert notice("", JUDGE) == JUDGE and notice("Demo data.") == "Demo data."


def test_a_long_notice_of_the_data_set_does_not_push_the_others_out(simulated: None) -> None:
    found = notice("x" * 200, JUDGE)
    assert found.startswith(f"Scorer calibrated against a simulation. · {JUDGE} · xxx") and found.endswith("x…")
    assert len(found) == making.LONGEST_NOTICE


def test_long_words_of_judges_leave_room_for_the_data_sets(simulated: None) -> None:
    found = notice("Demo data.", "a" * 200, "b" * 200)
    assert found.startswith("Scorer calibrated against a simulation. · aaa") and found.endswith("a… · Demo data.")
    assert len(found) == making.LONGEST_NOTICE
    assert len(notice("x" * 200, "a" * 200)) == making.LONGEST_NOTICE


def test_a_set_of_a_set_says_nothing_twice(simulated: None) -> None:
    once = notice("Demo data.", JUDGE)
    assert notice(once, JUDGE) == once
