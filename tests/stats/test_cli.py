"""The command line: shapes, statuses, refusals, no Django."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from scoring.stats.bootstrap import bootstrap
from scoring.stats.cli import main
from scoring.stats.mos import METHODS, OUTLIER_RULES
from tests.stats.shared import nflx

ROOT = Path(__file__).resolve().parents[2]
RATINGS = "annotator,item,dimension,score\n"
RANKS = "annotator,group,dimension,candidate,rank\n"
TRIPLES = "item,human,scorer,task,source\n"
SMALL = RATINGS + "a,x,q,1\nb,x,q,2\na,y,q,3\nb,y,q,3\na,z,q,4\nb,z,q,5\n"


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def run(tmp_path: Path, content: str, *arguments: str) -> Any:
    """The JSON that ``--json`` writes."""
    path, out = tmp_path / "in.csv", tmp_path / "out.json"
    path.write_text(content)
    assert main([*arguments, str(path), "--json", str(out)]) == 0
    return json.loads(out.read_text(), parse_constant=refuse)


def test_mos_works(tmp_path: Path) -> None:
    found = run(tmp_path, SMALL, "mos")
    assert set(found["items"][0]) == {"item", "dimension", "mos", "n", "std", "ci_low", "ci_high"}
    named = {"annotator", "dimension", "ratings", "outliers", "rejected", "bias", "inconsistency"}
    assert named <= set(found["annotators"][0])
    assert [line["item"] for line in found["items"]] == ["x", "y", "z"]
    assert found["settings"]["method"] == "zscore"
    assert found["settings"]["outliers"] == "pooled"
    assert found["warnings"] == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rule", OUTLIER_RULES)
def test_mos_choices(tmp_path: Path, method: str, rule: str) -> None:
    found = run(tmp_path, SMALL, "mos", "--method", method, "--outliers", rule)
    assert (found["settings"]["method"], found["settings"]["outliers"]) == (method, rule)
    assert all(isinstance(line["mos"], float | int) for line in found["items"])


def test_golden_bt500_and_p910(tmp_path: Path) -> None:
    rows, golden = nflx()
    content = RATINGS + "".join(f"{a},{i},{d},{s}\n" for a, i, d, s in rows)
    found = run(tmp_path, content, "mos", "--outliers", "bt500", "--method", "mean")
    assert [line["annotator"] for line in found["annotators"] if line["rejected"]] == golden["BT500"][
        "rejected_subjects"
    ]
    assert [line["mos"] for line in found["items"]] == pytest.approx(golden["BT500"]["quality_scores"], abs=1e-9)
    found = run(tmp_path, content, "mos", "--method", "p910")
    reference = golden["P910_AnnexE"]
    assert [line["mos"] for line in found["items"]] == pytest.approx(reference["quality_scores"], abs=1e-6)
    assert [line["bias"] for line in found["annotators"]] == pytest.approx(reference["observer_bias"], abs=1e-6)
    spread = [line["inconsistency"] for line in found["annotators"]]
    assert spread == pytest.approx(reference["observer_inconsistency"], abs=1e-6)
    assert found["annotators"][0]["bias_error"] == pytest.approx(reference["observer_bias_std"][0], abs=1e-6)


def test_ranks_works(tmp_path: Path) -> None:
    content = RANKS + "a,g,q,x,1\na,g,q,y,2\na,g,q,z,2\nb,g,q,x,1\nb,g,q,y,2\nb,g,q,z,2\nb,h,q,x,1\nb,h,q,y,2\n"
    found = run(tmp_path, content, "ranks")
    first, second = found["groups"]
    assert {"group", "dimension", "kendall_w", "contested", "ranks"} <= set(first)
    assert (first["kendall_w"], first["contested"]) == (1, False)
    assert first["ranks"] == {"x": 1, "y": 2.5, "z": 2.5}
    assert first["wins"] == {"x": 2, "y": 0.5, "z": 0.5}
    assert (second["kendall_w"], second["contested"]) == (None, None)
    assert second["note"] == "one annotator only: agreement is unknown"
    pair = {"group": "g", "dimension": "q", "better": "x", "worse": "y", "gap": 1.5}
    assert found["pairs"] == [pair, pair | {"worse": "z"}, pair | {"group": "h", "gap": 1}]
    assert found["ties"] == [{"group": "g", "dimension": "q", "a": "y", "b": "z"}]


def test_methods_works(tmp_path: Path) -> None:
    found = run(tmp_path, SMALL, "methods")
    assert set(found) == {"settings", "dimensions", "rejected", "warnings", "items"}
    (only,) = found["dimensions"]
    assert (only["dimension"], only["items"], only["rank_correlation"]) == ("q", 3, pytest.approx(1))
    assert set(found["items"][0]) >= {"item", "zscore_mos", "zscore_ci_low", "corrected_mos", "corrected_n"}
    assert found["rejected"] == {"zscore": [], "corrected": []}
    straight = run(tmp_path, SMALL + "".join(f"c,{item},q,3\n" for item in "xyz"), "methods")
    (left_out,) = straight["rejected"]["zscore"]
    assert (left_out["annotator"], left_out["dimension"]) == ("c", "q")
    assert "no z-score" in left_out["reason"]


def study_file() -> str:
    """Three editors in 24 groups, two annotators; the third editor is in dimension p alone."""
    rng = np.random.default_rng(0)
    rows = []
    for group in range(24):
        for person in "ab":
            for dimension, editors in (("q", "xy"), ("p", "xyz")):
                level = np.round(rng.normal(size=len(editors)) + 0.5 * np.arange(len(editors)))
                ranks = stats.rankdata(-level, method="min")
                rows += [
                    f"{person},g{group},{dimension},{one},{rank}\n" for one, rank in zip(editors, ranks, strict=True)
                ]
    return RANKS + "".join(rows)


@pytest.mark.parametrize("model", ["bt", "pl"])
def test_strength_works(tmp_path: Path, model: str) -> None:
    found = run(tmp_path, study_file(), "strength", "--model", model, "--resamples", "40")
    assert set(found) == {"settings", "counts", "warnings", "candidates", "ties"}
    assert [(row["dimension"], row["candidate"]) for row in found["candidates"]] == [
        ("q", "x"),
        ("q", "y"),
        ("p", "x"),
        ("p", "y"),
        ("p", "z"),
    ]
    for name in "qp":
        rows = [row for row in found["candidates"] if row["dimension"] == name]
        assert sum(row["strength"] for row in rows) == pytest.approx(0)
        assert rows[-1]["strength"] > rows[0]["strength"]
        assert all(row["ci_low"] < row["strength"] < row["ci_high"] for row in rows)
        assert all(row["groups"] == 24 for row in rows)
    assert [row["of_two"] > 0 for row in found["ties"]] == [True, True]
    assert found["warnings"] == []
    again = run(tmp_path, study_file(), "strength", "--model", model, "--resamples", "40", "--seed", "1")
    assert again["candidates"][0]["strength"] == found["candidates"][0]["strength"]
    assert again["candidates"][0]["ci_low"] != found["candidates"][0]["ci_low"]


@pytest.mark.parametrize("model", ["bt", "pl"])
def test_strength_that_is_not_determined_is_null_and_said(tmp_path: Path, model: str) -> None:
    content = RANKS + "a,g,q,x,1\na,g,q,y,2\na,g,p,x,1\na,g,p,y,2\nb,h,p,x,2\nb,h,p,y,1\n"
    found = run(tmp_path, content, "strength", "--model", model, "--resamples", "20")
    q, p = found["candidates"][:2], found["candidates"][2:]
    assert [(row["strength"], row["ci_low"]) for row in q] == [(None, None)] * 2
    assert [row["strength"] for row in p] == pytest.approx([0, 0])
    assert "q: there are no strengths" in found["warnings"][0]
    assert found["warnings"][1].startswith("p: no intervals: only ")


def test_pseudo_comparisons_determine_everybody_and_are_named(tmp_path: Path) -> None:
    content = RANKS + "a,g,q,x,1\na,g,q,y,2\n"
    found = run(tmp_path, content, "strength", "--model", "pl", "--pseudo", "0.5")
    assert found["candidates"][0]["strength"] > 0 > found["candidates"][1]["strength"]
    assert found["settings"]["pseudo"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--model"),
        (["--model", "elo"], "--model"),
        (["--model", "pl", "--pseudo", "-1"], "0 to 100"),
        (["--model", "bt", "--pseudo", "1"], "--pseudo belongs to --model pl"),
        (["--model", "pl", "--resamples", "many"], "whole number"),
    ],
)
def test_strength_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    path = tmp_path / "in.csv"
    path.write_text(RANKS + "a,g,q,x,1\na,g,q,y,2\n")
    assert main(["strength", str(path), *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_agreement_works(tmp_path: Path, level: str) -> None:
    found = run(tmp_path, SMALL, "agreement", "--level", level)
    assert {"alpha", "icc", "weighted_kappa", "pairs"} <= set(found)
    assert found["level"] == level
    assert found["pairs"] == 1
    assert 0 < found["icc"] < 1
    assert [line["dimension"] for line in found["dimensions"]] == ["q"]


def test_agreement_of_two_who_never_overlap_is_null(tmp_path: Path) -> None:
    found = run(tmp_path, RATINGS + "a,x,q,3\nb,y,q,3\n", "agreement", "--level", "ordinal")
    assert (found["alpha"], found["icc"], found["weighted_kappa"], found["pairs"]) == (None, None, None, 0)
    assert found["warnings"] == ["no item was scored by two annotators: nothing can be said about agreement"]


def test_agreement_needs_a_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agreement", str(tmp_path / "in.csv")]) == 2
    assert "--level" in capsys.readouterr().err


def triples_file(n: int = 60) -> str:
    """Two tasks, 15 source images; the scorer is too kind."""
    rows = [(f"i{k}", k % 26 / 5, min(5, 1 + k * 7 % 26 / 8 + k % 26 / 10), "add" if k % 3 else "rm") for k in range(n)]
    return TRIPLES + "".join(f"{i},{h},{s},{task},s{k % 15}\n" for k, (i, h, s, task) in enumerate(rows))


def test_correlate_works(tmp_path: Path) -> None:
    found = run(tmp_path, triples_file(), "correlate")
    assert list(found) == ["settings", "counts", "warnings", "pooled", "tasks", "tasks_mean"]
    assert found["counts"] == {"triples": 60, "tasks": 2, "source_images": 15}
    assert [part["task"] for part in found["tasks"]] == ["rm", "add"]
    assert [part["n"] for part in found["tasks"]] == [20, 40]
    rows = [line.split(",") for line in triples_file().splitlines()[1:]]
    human, scorer, source = (np.array([float(row[at].lstrip("s")) for row in rows]) for at in (1, 2, 4))
    for part, task in ((found["pooled"], ("add", "rm")), (found["tasks"][0], ("rm",)), (found["tasks"][1], ("add",))):
        some = np.array([row[3] in task for row in rows])
        pearson = stats.pearsonr(human[some], scorer[some])
        assert part["pcc"] == pytest.approx(pearson.statistic)
        assert part["intervals"]["pcc_fisher"] == pytest.approx(list(pearson.confidence_interval()))
        assert part["srcc"] == pytest.approx(stats.spearmanr(human[some], scorer[some]).statistic)
        assert part["tau_b"] == pytest.approx(stats.kendalltau(human[some], scorer[some]).statistic)
        assert part["bias"] == pytest.approx(float(np.mean(scorer[some] - human[some])))
        expected = bootstrap(human[some], scorer[some], source[some].astype(int)).intervals
        assert part["clusters"] == np.unique(source[some]).size
        for name, interval in expected.items():
            assert part["intervals"][name] == pytest.approx([interval.low, interval.high])
        assert sum(map(sum, part["confusion"])) == part["n"]
        assert part["constant"]["pcc"] is None
    z = (17 * math.atanh(found["tasks"][0]["pcc"]) + 37 * math.atanh(found["tasks"][1]["pcc"])) / 54
    assert found["tasks_mean"]["pcc"] == pytest.approx(math.tanh(z))
    closer = "always saying 2.26, the mean of people, would be closer to them than the scorer"
    assert found["warnings"][0] == closer
    assert found["warnings"][-1] == "add: " + closer.replace("2.26", f"{found['tasks'][1]['constant']['value']:.2f}")
    assert "rm: only 5 source images to draw from: bootstrap intervals tend to be too narrow" in found["warnings"]


def test_correlate_without_tasks_and_sources(tmp_path: Path) -> None:
    content = "scorer,item,human\n" + "".join(f"{k % 7 / 2},i{k},{k % 5}\n" for k in range(30))
    found = run(tmp_path, content, "correlate")
    assert (found["tasks"], found["tasks_mean"], found["counts"]["source_images"]) == ([], None, None)
    assert found["pooled"]["clusters"] == 30
    assert found["pooled"]["cut"]["precision"] is None
    assert found["pooled"]["reasons"]["cut.precision"] == "the cut drops nothing"


def test_correlate_takes_scale_cut_and_draws(tmp_path: Path) -> None:
    options = ["--scale", "1:4", "--drop", "3.5", "--perfect", "3", "--resamples", "50", "--seed", "3"]
    found = run(tmp_path, triples_file(), "correlate", *options)
    assert found["settings"]["scale"] == found["pooled"]["levels"][::3] == [1, 4]
    assert (found["settings"]["resamples"], found["settings"]["seed"]) == (50, 3)
    assert found["pooled"]["resamples"]["mae"] == 50
    assert found["pooled"]["cut"]["dropped"] == sum(
        float(line.split(",")[2]) >= 3.5 for line in triples_file().splitlines()[1:]
    )
    assert any(sentence.startswith("scores off the scale 1 to 4: ") for sentence in found["warnings"])
    again = run(tmp_path, triples_file(), "correlate", *options[:-1], "4")
    assert again["pooled"]["intervals"]["pcc"] != found["pooled"]["intervals"]["pcc"]


def test_correlate_of_a_constant_scorer_says_so(tmp_path: Path) -> None:
    content = "item,human,scorer\n" + "".join(f"i{k},{k % 5},4\n" for k in range(20))
    found = run(tmp_path, content, "correlate")
    reason = "the scorer gives one value to everything"
    for name in ("pcc", "srcc", "tau_b"):
        assert found["pooled"][name] is None
        assert found["pooled"]["reasons"][name] == reason
    for name in ("pcc_fisher", "pcc", "srcc"):
        assert found["pooled"]["intervals"][name] is None
        assert found["pooled"]["reasons"][f"intervals.{name}"] == reason
    assert found["pooled"]["mae"] == 2
    assert found["warnings"][0] == f"no correlation: {reason}"
    assert found["warnings"][1].startswith("always saying 2.00, the mean of people, would be closer")


def test_correlate_refuses_an_item_that_stands_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.csv"
    path.write_text('item,human,scorer,task\n"a\nb",1,2,add\nc,1,2,add\n\n"a\nb",1,2,rm\nc,3,4,add\n"a\nb",0,0,add\n')
    assert main(["correlate", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: line 8: the item 'c' stands in the task 'add' on line 4 already",
        f"{path}: line 9: the item 'a\\nb' stands in the task 'add' on line 2 already",
        f"{path}: 2 problems. Nothing was computed.",
    ]
    path.write_text("item,human,scorer\n" + "a,1,2\n" * 40)
    assert main(["correlate", str(path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"{path}: line 3: the item 'a' stands on line 2 already"
    assert said[-1] == f"{path}: 39 problems; the first 20 are listed. Nothing was computed."


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,1,", "scorer is empty"),
        ("a,,2", "human is empty"),
        ("a,1,n/a", "scorer is not a number: 'n/a'"),
        ("a,NaN,1", "human is not a number: 'NaN'"),
        (",1,2", "item is empty"),
        ("a,1", "2 cells, but the header has 3"),
    ],
)
def test_correlate_refuses_bad_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, reason: str) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"item,human,scorer\nx,1,2\n{row}\n")
    assert main(["correlate", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}: line 3: {reason}\n"


@pytest.mark.parametrize(("header", "row"), [("task", ""), ("source", " ")])
def test_correlate_refuses_blank_tasks_and_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, row: str
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"item,human,scorer,{header}\nx,1,2,t\ny,1,2,{row}\n")
    assert main(["correlate", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}: line 3: {header} is empty\n"
    path.write_text(f"item,human,scorer,{header},{header}\nx,1,2,t,t\n")
    assert main(["correlate", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}: line 1: column {header} stands in the header more than once\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--scale", "5"], "is not LOW:HIGH with two integers"),
        (["--scale", "5:0"], "must go upwards"),
        (["--scale", "0:1000"], "at most 101 levels"),
        (["--drop", "nan"], "is not a number"),
        (["--perfect", "x"], "is not a number"),
        (["--resamples", "0"], "is not a whole number from 1 to 100000"),
        (["--resamples", "1000000"], "is not a whole number from 1 to 100000"),
        (["--seed", "-1"], "is not a whole number from 0"),
    ],
)
def test_correlate_refuses_wrong_options(capsys: pytest.CaptureFixture[str], options: list[str], reason: str) -> None:
    assert main(["correlate", "x.csv", *options]) == 2
    assert reason in capsys.readouterr().err


def test_correlate_loads_nothing_slow(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(triples_file())
    code = (
        "import sys; from scoring.stats.cli import main; status = main(sys.argv[1:]);"
        "loaded = {'django', 'scipy.stats', 'scipy.optimize', 'sklearn'} & set(sys.modules);"
        "sys.exit(f'{loaded}' if loaded else status)"
    )
    command = [sys.executable, "-c", code, "correlate", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_json_goes_to_standard_output(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "in.csv"
    path.write_text(SMALL)
    assert main(["mos", str(path)]) == 0
    assert json.loads(capfdbinary.readouterr().out)["counts"]["ratings"] == 6


@pytest.mark.parametrize(
    "command",
    [["mos"], ["methods"], ["ranks"], ["strength", "--model", "pl"], ["agreement", "--level", "nominal"]],
)
def test_bad_rows_are_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.json"
    header = RANKS if command[0] in ("ranks", "strength") else RATINGS
    filler = "a," * (header.count(",") - 1)
    path.write_text(header + f"{filler}b,1\n{filler}b,NaN\n{filler},2\n")
    out.write_text("before")
    assert main([*command, str(path), "--json", str(out)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"{path}: line 3: ")
    assert said[1].startswith(f"{path}: line 4: ")
    assert said[2] == f"{path}: 2 problems. Nothing was computed."
    assert out.read_text() == "before"


def test_many_bad_rows_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.csv"
    path.write_text(RATINGS + "a,x,q,?\n" * 45)
    assert main(["mos", str(path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 21
    assert said[-1] == f"{path}: 45 problems; the first 20 are listed. Nothing was computed."


@pytest.mark.parametrize("content", ["", RATINGS, "a,b\n1,2\n"])
def test_unusable_files_are_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(content)
    assert main(["mos", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{path}: ")
    assert captured.out == ""


def test_absent_file_and_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mos", str(tmp_path / "absent.csv")]) == 2
    assert capsys.readouterr().err.endswith("absent.csv: cannot be read: No such file or directory\n")
    path = tmp_path / "in.csv"
    path.write_text(SMALL)
    assert main(["mos", str(path), "--json", str(tmp_path / "absent" / "out.json")]) == 1
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["median", "x.csv"], ["mos"], ["mos", "x.csv", "--method", "median"]])
def test_wrong_requests(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_output_replaces_the_file_whole(tmp_path: Path) -> None:
    run(tmp_path, SMALL, "mos")
    run(tmp_path, SMALL, "mos", "--method", "mean")
    assert json.loads((tmp_path / "out.json").read_text())["settings"]["method"] == "mean"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.json"]


ODD = {
    "one rating": "a,x,q,3\n",
    "one rater": "a,x,q,3\na,y,q,4\na,z,q,5\n",
    "one item": "a,x,q,3\nb,x,q,4\nc,x,q,5\n",
    "constant raters": "".join(f"{a},{i},q,3\n" for a in "abc" for i in "xyz"),
    "no overlap": "a,x,q,3\nb,y,q,4\n",
    "only repeats": "a,x,q,3\na,x,q,4\n",
}


@pytest.mark.parametrize("rows", ODD.values(), ids=ODD)
@pytest.mark.parametrize("method", METHODS)
def test_odd_data_have_an_answer(tmp_path: Path, rows: str, method: str) -> None:
    for rule in OUTLIER_RULES:
        found = run(tmp_path, RATINGS + rows, "mos", "--method", method, "--outliers", rule)
        for line in found["items"]:
            assert line["mos"] is None or math.isfinite(line["mos"])
            assert line["mos"] is not None or found["warnings"]
    for level in ("nominal", "ordinal", "interval"):
        found = run(tmp_path, RATINGS + rows, "agreement", "--level", level)
        assert found["alpha"] is not None or found["warnings"]


def test_it_runs_by_itself_without_django_or_slow_packages(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(SMALL)
    code = (
        "import sys; from scoring.stats.cli import main; status = main(sys.argv[1:]);"
        "loaded = {'django', 'evalica', 'scipy.stats', 'sklearn'} & set(sys.modules);"
        "sys.exit(f'{loaded}' if loaded else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "mos", str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    module = [sys.executable, "-m", "scoring.stats", "mos", str(path)]
    assert subprocess.run(module, cwd=ROOT, capture_output=True, text=True, check=True).stdout == done.stdout


def test_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(RATINGS + "".join(f"a{n % 9},i{n},q,{n % 5}\n" for n in range(20_000)))
    command = f"{sys.executable} -m scoring.stats mos {path} | head -c 10"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ('{\n"setting', "")
