"""Fast JSON is strict JSON."""

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.stats import jsonout
from scoring.stats.jsonout import (
    Rows,
    flag_cells,
    name_cells,
    number_cells,
    object_cells,
    plain,
    text_cells,
    write_json,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def written(document: dict[str, Any]) -> Any:
    file = io.BytesIO()
    write_json(file, document)
    return json.loads(file.getvalue().decode(), parse_constant=refuse)


def test_it_works() -> None:
    names = pa.array(["x", 'say "no"\n'])
    rows = Rows({"item": name_cells(names, np.array([1, 0])), "mos": number_cells(np.array([1.5, np.nan]))})
    assert written({"level": "é", "items": rows, "n": None}) == {
        "level": "é",
        "items": [{"item": 'say "no"\n', "mos": 1.5}, {"item": "x", "mos": None}],
        "n": None,
    }


@given(st.lists(st.tuples(TEXT, st.floats(), st.booleans(), st.none() | TEXT, st.integers(-(2**63), 2**63 - 1))))
def test_anything_comes_back(rows: list[tuple[str, float, bool, str | None, int]]) -> None:
    columns = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
    texts = Rows(
        {
            "name": name_cells(pa.array(columns[0], pa.string()), np.arange(len(rows))),
            "number": number_cells(np.array(columns[1], dtype=float)),
            "flag": flag_cells(np.array(columns[2], dtype=bool)),
            "note": text_cells(columns[3]),
            "count": number_cells(np.array(columns[4], dtype=np.int64)),
        }
    )
    found = written({"rows": texts})["rows"]
    for line, (name, number, flag, note, count) in zip(found, rows, strict=True):
        expected = number if np.isfinite(number) else None
        assert line == {"name": name, "number": expected, "flag": flag, "note": note, "count": count}


def test_plain_values_for_pages() -> None:
    rows = Rows({"mos": number_cells(np.array([1.5, np.nan]))})
    assert plain({"items": rows, "n": 2}) == {"items": [{"mos": 1.5}, {"mos": None}], "n": 2}


def test_chunks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonout, "CHUNK", 3)
    for n in (0, 1, 2, 3, 4, 6, 7):
        assert written({"rows": Rows({"n": number_cells(np.arange(n))})})["rows"] == [{"n": k} for k in range(n)]


def test_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonout, "CHUNK", 2)
    keys = name_cells(pa.array(["a", "b", "c"]), np.array([0, 1, 2, 0]))
    cells = object_cells(np.array([2, 0, 1, 1]), keys, number_cells(np.array([1.0, 2.0, np.nan, 4.0])))
    assert [row["ranks"] for row in written({"rows": Rows({"ranks": cells})})["rows"]] == [
        {"a": 1, "b": 2},
        {},
        {"c": None},
        {"a": 4},
    ]


def test_flags_can_be_unknown() -> None:
    cells = flag_cells(np.array([True, False, True]), known=np.array([True, True, False]))
    assert [row["f"] for row in written({"rows": Rows({"f": cells})})["rows"]] == [True, False, None]


def test_nan_outside_of_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        written({"alpha": float("nan")})
