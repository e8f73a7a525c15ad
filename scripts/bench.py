"""Run the measurements of tests/bench one after the other: `make bench`. The table goes to docs/benchmarks.md.

Each tests/bench/<name>.py is a program of its own. A line of its output that is a JSON object is a row of the table:
{"what": "...", "value": 12.3, "unit": "s", "target": "under 15"}; "target" may be absent. Others are shown.
A file <name>_data.py belongs to its neighbour.
`make bench ARGS=load` runs those whose name contains "load", and keeps the other rows of the table as they are.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BENCHES = ROOT / "tests" / "bench"
PAGE = ROOT / "docs" / "benchmarks.md"
FIELDS = ("what", "value", "unit", "target")
HEADER = "| measurement | what | value | unit | target | on |"


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine() -> str:
    """The machine in words: a figure without it means nothing."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores of {processor()}, {memory:.0f} GB of memory, {system}"


def row_of(line: str) -> dict[str, Any] | None:
    """The row that a line of output states, or None for any other line."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "what" in row and "value" in row else None


def run(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The rows of one measurement, and whether it ended well. Its output is shown as it comes."""
    print(f"\n{f' {path.stem} ':=^100}", flush=True)
    command = [sys.executable, "-u", "-m", f"tests.bench.{path.stem}"]
    rows = []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            if row := row_of(line):
                rows.append(row)
    return rows, process.returncode == 0


def figure(value: object) -> str:
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:.4g}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def cells(name: str, row: dict[str, Any], day: str) -> str:
    words = [name, row["what"], figure(row["value"]), row.get("unit", ""), row.get("target", ""), day]
    return "| " + " | ".join(str(word).replace("|", "/") for word in words) + " |"


def kept_lines(names: set[str]) -> list[str]:
    """The table's lines of measurements that were not run now."""
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    rows = [line for line in lines if line.startswith("| ") and line != HEADER]
    return [line for line in rows if line.split("|")[1].strip() not in names]


def page(lines: list[str]) -> str:
    text = [
        "# Measurements",
        "",
        "Written by `make bench`. Each line says when it was taken; the machine of the last run:",
    ]
    return "\n".join([*text, machine() + ".", "", HEADER, "|---|---|---|---|---|---|", *sorted(lines), ""])


def main(words: list[str]) -> int:
    programs = sorted(path for path in BENCHES.glob("[a-z]*.py") if not path.stem.endswith("_data"))
    chosen = [path for path in programs if not words or any(word in path.stem for word in words)]
    if not chosen:
        print(f"No measurement has a name like {' '.join(words) or '*.py'} in tests/bench.", file=sys.stderr)
        return 1
    day, lines, measured, failed = time.strftime("%Y-%m-%d"), [], set(), []
    for path in chosen:
        rows, passed = run(path)
        if passed:
            measured.add(path.stem)
            lines += [cells(path.stem, row, day) for row in rows]
        else:  # half a measurement is none: the page keeps the last whole one
            failed.append(path.stem)
    text = page([*kept_lines(measured), *lines])
    PAGE.write_text(text)
    print("\n" + text + (f"\nFAILED: {', '.join(failed)}" if failed else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
