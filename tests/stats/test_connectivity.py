"""Connected parts of a study."""

import numpy as np
import pytest

from scoring.stats import connectivity
from scoring.stats.connectivity import components
from scoring.stats.table import Panel, Ratings
from tests.stats import oracle
from tests.stats.shared import Row


def parts_of(rows: list[Row]) -> dict[str, int]:
    ratings = Ratings.from_rows(rows)
    return dict(zip(ratings.dimensions.to_pylist(), components(Panel.of(ratings)).parts.tolist(), strict=True))


def test_it_works() -> None:
    apart: list[Row] = [("a", "x", "q", 1.0), ("b", "y", "q", 1.0)]
    assert parts_of(apart) == {"q": 2}
    assert parts_of([*apart, ("c", "x", "q", 1.0), ("c", "y", "q", 1.0)]) == {"q": 1}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("sample", [1, 7, 200_000])
def test_it_equals_spreading_labels(seed: int, sample: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectivity, "SAMPLE", sample)
    rng = np.random.default_rng(seed)
    rows: list[Row] = [
        (f"a{rng.integers(12)}", f"i{rng.integers(20)}", f"d{rng.integers(2)}", 1.0)
        for _ in range(int(rng.integers(5, 40)))
    ]
    assert parts_of(rows) == oracle.components(rows)


def test_labels_of_raters_and_units_agree() -> None:
    ratings = Ratings.from_rows([("a", "x", "q", 1.0), ("b", "y", "q", 1.0), ("a", "z", "q", 1.0)])
    panel = Panel.of(ratings)
    found = components(panel)
    assert (found.rater[panel.rater] == found.unit[panel.unit]).all()
    left = components(panel.keep(np.array([True, False, True])))
    assert (left.rater.tolist()[1], left.unit.tolist()[1]) == (-1, -1)
    assert left.parts.tolist() == [1]


def test_no_ratings() -> None:
    assert components(Panel.of(Ratings.from_rows([]))).parts.size == 0
