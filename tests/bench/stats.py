"""Time and memory of the statistics on ten million ratings: `python -m tests.bench.stats [ratings]`.

A seeded CSV of three dimensions, rows in random order, with five ratings an item (two million scored items, the long
case for the output) and with fifteen; the command line as a process of its own; and the computation alone, in a process
of its own, after one smaller run that loads the libraries. Then the subject models on 750,000 ratings, the two-way
bootstrap, and Plackett-Luce over a study.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

ROOT = Path(__file__).resolve().parents[2]
ANNOTATORS = 2000
DIMENSIONS = ("quality", "alignment", "preservation")
ALONE = """
import sys, time
import numpy as np
from scoring.stats.table import Ratings
from scoring.stats.mos import MosSettings, mean_opinion_scores
method, path, small = sys.argv[1:]
settings = MosSettings(method=method)
mean_opinion_scores(Ratings.from_csv(small), settings)
ratings = Ratings.from_csv(path)
start = time.perf_counter()
result = mean_opinion_scores(ratings, settings)
print(time.perf_counter() - start)
"""

INTERVALS = """
import sys, time
from scoring.stats.mos import MosSettings, mean_opinion_scores
from scoring.stats.resample import mos_intervals
from scoring.stats.table import Ratings
ratings = Ratings.from_csv(sys.argv[1])
result = mean_opinion_scores(ratings, MosSettings(method="corrected"))
editors = [code % 20 for code in range(len(ratings.items))]
start = time.perf_counter()
mos_intervals(result, groups=editors)
print(time.perf_counter() - start)
"""
RANKINGS = """
import sys, time
import numpy as np
from scoring.stats.plackett import plackett_luce
rng = np.random.default_rng(0)
editors, groups, people = (int(value) for value in sys.argv[1:])
worth = np.linspace(1, -1, editors)
orders = []
for number in range(groups * people):
    level = np.round(2 * (worth + rng.gumbel(size=editors)))
    orders.append([np.flatnonzero(level == one).tolist() for one in np.unique(level)[::-1]])
clusters = [number // people for number in range(len(orders))]
start = time.perf_counter()
found = plackett_luce(orders, editors, groups=clusters, resamples=200)
assert np.isfinite(found.low).all()
print(time.perf_counter() - start)
"""


def write_ratings(path: Path, ratings: int, per_item: int, seed: int = 0) -> None:
    """``ratings`` rows by annotators with biases of their own."""
    rng = np.random.default_rng(seed)
    items = max(1, ratings // (len(DIMENSIONS) * per_item))
    item = np.repeat(np.arange(items, dtype=np.int32), per_item)
    annotator = rng.integers(0, ANNOTATORS, item.size, dtype=np.int32)
    truth, bias = rng.normal(3, 0.8, items), rng.normal(0, 0.3, ANNOTATORS)
    names = pa.array([f"annotator-{n:04d}" for n in range(ANNOTATORS)])
    cases = pa.array([f"case-{n:06d}" for n in range(items)])
    schema = pa.schema(
        [("annotator", pa.string()), ("item", pa.string()), ("dimension", pa.string()), ("score", pa.float64())]
    )
    with pacsv.CSVWriter(path, schema) as writer:
        for dimension in DIMENSIONS:
            order = rng.permutation(item.size)
            score = truth[item] + bias[annotator] + rng.normal(0, 0.6, item.size)
            columns = [
                names.take(pa.array(annotator[order])),
                cases.take(pa.array(item[order])),
                pa.array([dimension]).take(pa.array(np.zeros(item.size, dtype=np.int8))),
                pa.array(np.clip(score.round(1), 1, 5)[order]),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def command_line(path: Path, *arguments: str) -> tuple[float, float]:
    """Seconds and peak memory (GB) of the whole process, output written to a file; the better of two runs."""
    first, second = _once(path, *arguments), _once(path, *arguments)
    return min(first[0], second[0]), max(first[1], second[1])


def _once(path: Path, *arguments: str) -> tuple[float, float]:
    out = path.with_suffix(".json")
    command = [sys.executable, "-m", "scoring.stats", "mos", str(path), "--json", str(out), *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"the command line ended with status {status}")
    out.unlink()
    return seconds, usage.ru_maxrss * 1024 / 1e9


def alone(method: str, path: Path, small: Path) -> float:
    """Seconds of the computation, without reading and writing; the best of three processes."""
    return min(printed(ALONE, method, str(path), str(small)) for _ in range(3))


def printed(program: str, *arguments: str) -> float:
    """Seconds that a program in a process of its own prints."""
    command = [sys.executable, "-c", program, *arguments]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


def row(what: str, value: float, unit: str, target: str = "") -> None:
    """One line of the table of `make bench`."""
    print(json.dumps({"what": what, "value": round(value, 2), "unit": unit, "target": target}), flush=True)


def main(ratings: int) -> None:
    # In a process of its own: the peak memory of a child counts from its parent's.
    def write(path: Path, rows: int, per_item: int) -> Path:
        writer = get_context("spawn").Process(target=write_ratings, args=(path, rows, per_item))
        writer.start()
        writer.join()
        return path

    with tempfile.TemporaryDirectory() as folder:
        small = write(Path(folder) / "small.csv", 3000, 5)
        row("mos, start of the command line", command_line(small)[0], "s", "under 2")
        for per_item in (5, 15):
            path = write(Path(folder) / "ratings.csv", ratings, per_item)
            what = f"mos, {ratings:,} ratings, {per_item} an item"
            seconds, memory = command_line(path)
            row(f"{what}, CSV to JSON", seconds, "s", "under 15")
            row(f"{what}, CSV to JSON", memory, "GB", "under 4")
            row(f"{what}, computation alone", alone("zscore", path, small), "s", "under 3")
        path = write(Path(folder) / "subjects.csv", 750_000, 15)
        for method in ("p910", "corrected"):
            seconds, memory = command_line(path, "--method", method)
            row(f"{method}, 750,000 ratings, CSV to JSON", seconds, "s", "under 5")
            row(f"{method}, 750,000 ratings, CSV to JSON", memory, "GB", "under 0.5")
        path = write(Path(folder) / "intervals.csv", 75_000, 15)
        row("bootstrap over annotators and items, 75,000 ratings, 1,000 resamples", printed(INTERVALS, str(path)), "s")
    for editors, groups in ((7, 2000), (23, 200)):
        seconds = printed(RANKINGS, str(editors), str(groups), "3")
        row(f"Plackett-Luce, {groups} groups of {editors}, 3 annotators, 200 resamples", seconds, "s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
