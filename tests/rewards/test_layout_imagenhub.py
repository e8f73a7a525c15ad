import csv
import gzip
import io
import json
import math
from collections import defaultdict
from pathlib import Path

import pytest

from tests.rewards.benches import as_json, put
from tests.stats.shared import shared_file
from training.rewards.layouts import LayoutError
from training.rewards.layouts.imagenhub import overall, ratings, read

HEAD = "uid\tDiffEdit\tImagic\tMagicBrush"


def bench(folder: Path, *cells: str, raters: int = 3) -> Path:
    """Two sources; Imagic has no folder of pictures. ``cells``: DiffEdit's of the first source, by rater."""
    results = folder / "results" / "ImagenHub_Text-Guided_IE"
    told = {f"sample_{n}.jpg": {"instruction": f"Add {n}"} for n in range(2)}
    as_json(results / "dataset_lookup.json", told)
    for number, uid in enumerate(told):
        put(results, f"input/{uid}", number)
        for shade, editor in enumerate(("DiffEdit", "MagicBrush")):
            put(results, f"{editor}/{uid}", 10 * shade + number)
    for rater in range(raters):
        first = cells[rater] if rater < len(cells) else "[1, 0.5]"
        lines = [HEAD, f"sample_0.jpg\t{first}\t[0,0]\t[1, 1]", "sample_1.jpg\t[0.5,0.5]\t[0,0]\t[0, 1]"]
        path = folder / "eval" / "human_ratings" / "Text-Guided_IE" / f"Text-Guided_IE_rater{rater + 1}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("\r\n".join(lines).encode() + b"\r\n")
    return folder


def test_raters_means_and_the_overall_score(tmp_path: Path) -> None:
    first, second = read(bench(tmp_path, "[1, 0.5]", "[0.5, 0.5]", "[0, 1]"))
    assert [made.editor for made in first.candidates] == ["diffedit", "magicbrush"]
    assert first.labels["alignment"].mos == (0.5, 1.0)
    assert first.labels["quality"].mos == pytest.approx((2 / 3, 1.0))
    assert first.labels["overall"].mos == pytest.approx(((math.sqrt(0.5) + 0.5 + 0) / 3, 1.0))
    assert first.raters["overall"][:2] == (("rater1", 0, math.sqrt(0.5)), ("rater1", 1, 1.0))
    assert len(second.raters["quality"]) == 6


@pytest.mark.parametrize("cell", ["", "1", "[1]", "[1, 2]", "[1, 0.7]", "[true, 1]", "__import__('os')", "[0, 0, 0]"])
def test_a_cell_that_is_no_pair_is_refused_with_its_place(tmp_path: Path, cell: str) -> None:
    with pytest.raises(LayoutError, match=r"rater2.tsv, line 2, DiffEdit"):
        list(read(bench(tmp_path, "[1, 1]", cell)))


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="rater"):
        list(read(tmp_path))
    (tmp_path / "Text-Guided_IE_rater1.tsv").write_text(HEAD + "\n")
    with pytest.raises(LayoutError, match=r"dataset_lookup.json"):
        list(read(tmp_path))
    as_json(tmp_path / "dataset_lookup.json", {"sample_0.jpg": {"instruction": "Add"}})
    with pytest.raises(LayoutError, match=r"none? folder|no folder of an editor"):
        list(read(tmp_path))
    (tmp_path / "Text-Guided_IE_rater1.tsv").write_text("name,DiffEdit\n")
    with pytest.raises(LayoutError, match="first line"):
        list(read(tmp_path))
    (tmp_path / "Text-Guided_IE_rater1.tsv").write_text(HEAD + "\nsample_0.jpg\t[0, 0]\n")
    with pytest.raises(LayoutError, match="line 2: 2 cells"):
        list(read(tmp_path))


def test_an_instruction_and_pictures_are_needed(tmp_path: Path) -> None:
    folder = bench(tmp_path)
    results = folder / "results" / "ImagenHub_Text-Guided_IE"
    (results / "MagicBrush" / "sample_1.jpg").unlink()
    with pytest.raises(LayoutError, match=r"sample_1.jpg.*there is no file"):
        list(read(folder))
    as_json(results / "dataset_lookup.json", {"sample_0.jpg": {}})
    with pytest.raises(LayoutError, match="instruction is missing"):
        list(read(folder))


def test_published_means_come_out(tmp_path: Path) -> None:
    """The real ratings, written back in their published form: means over raters and edits equal the notebook's."""
    published = json.loads(shared_file("golden/imagenhub_published_agreement.json").read_text())["published"]
    rows = _published_rows()
    sums: dict[str, list[float]] = defaultdict(list)
    for rater, table in rows.items():
        path = tmp_path / f"Text-Guided_IE_{rater}.tsv"
        editors = sorted({editor for _uid, editor in table})
        lines = ["\t".join(["uid", *editors])]
        for uid in sorted({uid for uid, _editor in table}):
            lines.append("\t".join([uid, *(json.dumps(table[uid, editor]) for editor in editors)]))
        path.write_text("\n".join(lines))
        for (_uid, editor), both in ratings(path).items():
            sums[editor].append(overall(*both))
    for editor, values in sums.items():
        assert sum(values) / len(values) == pytest.approx(
            published["Text-Guided_IE"][editor]["avg_HumanEvalAvg"], abs=0.006
        )
    assert len(sums) == 9


def _published_rows() -> dict[str, dict[tuple[str, str], list[float]]]:
    found: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
    with gzip.open(shared_file("human-data/imagenhub/long.csv.gz")) as file:
        for row in csv.DictReader(io.TextIOWrapper(file)):
            if row["task"] == "Text-Guided_IE":
                found[row["rater"]][row["uid"], row["model"]][row["dim"] != "SC"] = float(row["score"])
    return found
