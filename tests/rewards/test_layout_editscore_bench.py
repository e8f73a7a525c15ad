from pathlib import Path
from typing import Any

import pytest

from tests.rewards.benches import arrow, inside, parquet
from training.rewards.layouts import Item, LayoutError
from training.rewards.layouts.editscore_bench import read


def row(first: str, second: str, dimension: str, **more: Any) -> dict[str, Any]:
    return {
        "key": [first, second],
        "instruction": "Make it blue",
        "input_image": inside(1),
        "output_images": [inside(ord(first[-1])), inside(ord(second[-1]))],
        "task_type": "subject-remove",
        "dimension": dimension,
        **more,
    }


def better(item: Item, dimension: str) -> bytes:
    (at,) = item.labels[dimension].pairs
    return item.candidates[at[0] if at[2] == 1 else at[1]].image  # type: ignore[return-value]


def test_the_first_is_better_in_each_dimension(tmp_path: Path) -> None:
    """The same pair may be the other way round in another dimension."""
    rows = [row("x-b", "x-a", "overall"), row("y-c", "y-d", "overall"), row("x-a", "x-b", "consistency")]
    arrow(tmp_path / "data-00000-of-00001.arrow", rows)
    x, y = read(tmp_path)
    assert better(x, "overall") == inside(ord("b"))["bytes"]
    assert better(x, "consistency") == inside(ord("a"))["bytes"]
    assert better(y, "overall") == inside(ord("c"))["bytes"]
    assert (x.task, set(y.labels)) == ("remove", {"overall"})


def test_parquet_and_unknown_tasks(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [row("a", "b", "prompt_following", task_type="compose")])
    (item,) = read(tmp_path)
    assert item.task == "" and set(item.labels) == {"prompt_following"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("a", "b", "beauty")], "row 1: dimension is"),
        ([row("a", "b", "overall"), row("b", "a", "overall")], "row 2: this pair"),
        ([row("a", "a", "overall")], "row 1: this pair"),
        ([row("a", "b", "overall", key=["a"])], "row 1: key must be a list of two"),
        ([row("a", "b", "overall", output_images=[inside(1)])], "row 1: output_images"),
        ([row("a", "b", "overall", instruction="")], "row 1: instruction is missing"),
    ],
)
def test_wrong_rows_are_refused(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    arrow(tmp_path / "a.arrow", rows)
    with pytest.raises(LayoutError, match=words):
        list(read(tmp_path))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="none of the files"):
        list(read(tmp_path))
    (tmp_path / "a.arrow").write_bytes(b"no arrow")
    with pytest.raises(LayoutError, match=r"a.arrow is no such table"):
        list(read(tmp_path))
