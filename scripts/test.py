"""All checks: `make test`. A failure does not stop the ones after it; the end says what failed.

The browser tests wait more than they compute: they run beside the others, and what they print comes at the end. What
comes after `--` goes to every pytest: make test ARGS="-k ranking -x".
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, NoReturn

from scripts.servers import Refusal, postgres_binaries, private_postgres, private_valkey

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
PURE = ("gpu", "importing", "rewards", "scoring", "scripts", "stats", "world")  # no database: run once
BROWSER = ("js", "e2e")
BENCH = ("bench",)  # measured by `make bench`
NOTHING_COLLECTED = 5  # pytest's exit status
_running: list[subprocess.Popen[bytes]] = []  # to be ended with this program
GROUPS = ("lint", "unit", "sqlite", "postgres", "browser")


@dataclass(frozen=True)
class Step:
    """A command under a heading, in one of GROUPS. ``problem``: why it cannot run here, as a sentence."""

    group: str
    title: str
    command: list[str]
    env: dict[str, str]
    problem: str = ""


@dataclass(frozen=True)
class Outcome:
    title: str
    seconds: float
    passed: bool


def apt_install(program: str, *packages: str) -> str:
    """Install Debian packages when this is root on such a system. Returns a sentence when that cannot be done."""
    advice = f"{program} is missing. Install it (Debian: sudo apt install {' '.join(packages)}), then run this again."
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return advice
    print(f"{program} is missing; installing it with apt ...", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            return f"{advice} (apt-get {words[0]} failed: {(done.stderr.strip().splitlines() or ['no reason'])[-1]})"
    return ""


def find_chromium() -> str | None:
    """CHROMIUM, else the first Chromium of the path."""
    named = os.environ.get("CHROMIUM")
    candidates = [named] if named else ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    return next(filter(None, map(shutil.which, candidates)), None)


def need_chromium() -> tuple[str, str]:
    """The browser's path, and a sentence when there is none."""
    if os.environ.get("CHROMIUM") and not find_chromium():
        return "", f"CHROMIUM names {os.environ['CHROMIUM']}, which is no program. Correct it, or unset it."
    problem = "" if find_chromium() else apt_install("Chromium", "chromium", "fonts-liberation")
    return find_chromium() or "", problem


def need_postgres() -> tuple[Path | None, str]:
    """The folder of PostgreSQL's server programs, and a sentence when there is none."""
    problem = "" if postgres_binaries() else apt_install("The PostgreSQL server", "postgresql")
    return postgres_binaries(), problem


def test_folders(*names: str) -> list[str]:
    return [f"tests/{name}" for name in names if list((TESTS / name).glob("**/test_*.py"))]


def pytest_command(paths: list[str], *options: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *paths, *options]


def lint_steps(env: dict[str, str]) -> Iterator[Step]:
    yield Step("lint", "ruff check", [sys.executable, "-m", "ruff", "check"], env)
    yield Step("lint", "ruff format --check", [sys.executable, "-m", "ruff", "format", "--check"], env)
    yield Step("lint", "mypy", [sys.executable, "-m", "mypy"], env)
    yield Step("lint", "import-linter", [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"], env)


def pytest_steps(groups: set[str], arguments: list[str], env: dict[str, str], stack: ExitStack) -> Iterator[Step]:
    """The steps without a browser, each with the servers it needs; those of PostgreSQL start when its turn comes."""
    if "unit" in groups:
        yield Step("unit", "unit tests", pytest_command(test_folders(*PURE), workers(), *arguments), env)
    without = [f"--ignore=tests/{name}" for name in (*PURE, *BROWSER, *BENCH)]
    whole = pytest_command(["tests"], *without, workers(), *arguments)
    if "sqlite" in groups:
        yield Step("sqlite", "the suite on SQLite", whole, env)
    if "postgres" in groups:
        binaries, problem = need_postgres()
        try:
            url = stack.enter_context(private_postgres(binaries)) if binaries else ""
        except Refusal as refusal:
            url, problem = "", str(refusal)
        yield Step("postgres", "the suite on PostgreSQL", whole, {**env, "DATABASE_URL": url}, problem)


def browser_steps(arguments: list[str], env: dict[str, str]) -> Iterator[Step]:
    chromium, problem = need_chromium()
    for folder in test_folders(*BROWSER):  # each by itself: one process can run one Playwright
        together = [workers()] if folder == "tests/js" else []  # the others share one started application
        command = pytest_command([folder], *together, *arguments)
        yield Step("browser", f"browser tests: {folder}", command, {**env, "CHROMIUM": chromium}, problem)


def workers() -> str:
    return f"-n{min(os.cpu_count() or 1, 8)}"


def run(step: Step, may_be_empty: bool, output: IO[bytes] | None = None) -> Outcome:
    """Run a step. Without ``output`` in the foreground: what it prints is seen as it comes."""
    heading = f"\n{f' {step.title} ':=^100}\n{step.problem}".rstrip() + "\n"
    if output is None:
        print(heading, end="", flush=True)
    else:
        output.write(heading.encode())
        output.flush()
    started = time.monotonic()
    if step.problem:
        return Outcome(step.title, 0, False)
    command = subprocess.Popen(
        step.command, cwd=ROOT, env=step.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )
    _running.append(command)
    code = command.wait()
    passed = code == 0 or (may_be_empty and code == NOTHING_COLLECTED)
    return Outcome(step.title, time.monotonic() - started, passed)


def run_all(steps: Iterator[Step], beside: list[Step], may_be_empty: bool) -> list[Outcome]:
    """``beside`` in a thread of its own; what it printed comes after the others."""
    with ThreadPoolExecutor(1) as thread, tempfile.TemporaryFile() as output:
        others = [thread.submit(run, step, may_be_empty, output) for step in beside]
        try:
            outcomes = [run(step, may_be_empty) for step in steps]
            outcomes += [other.result() for other in others]
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
            for command in _running:
                command.kill()
        output.seek(0)
        print(output.read().decode(errors="replace"), flush=True)
        return outcomes


def report(outcomes: list[Outcome], seconds: float) -> str:
    lines = [f"\n{' summary ':=^100}"]
    lines += [f"{'ok' if one.passed else 'FAILED':<8}{one.seconds:>8.1f} s  {one.title}" for one in outcomes]
    failed = [one.title for one in outcomes if not one.passed]
    return "\n".join([*lines, f"{'FAILED: ' + ', '.join(failed) if failed else 'All passed'} ({seconds:.0f} s)"])


def all_steps(groups: set[str], arguments: list[str], stack: ExitStack) -> tuple[Iterator[Step], list[Step]]:
    """Every step of those groups, and those that run beside them. Data goes to throw-away folders and servers: nobody's
    own are touched, and the two do not meet."""

    def fresh() -> dict[str, str]:
        var = stack.enter_context(tempfile.TemporaryDirectory(prefix="editloop-test-"))
        taken = ("DATABASE_URL", "REDIS_URL", "EDITLOOP_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(taken)}
        return {**env, "EDITLOOP_VAR": var, "PYTHONUNBUFFERED": "1"}

    def served() -> dict[str, str]:
        return {**fresh(), "REDIS_URL": stack.enter_context(private_valkey())}

    lint = lint_steps(fresh()) if "lint" in groups else iter(())
    others = pytest_steps(groups, arguments, served(), stack) if groups - {"lint", "browser"} else iter(())
    browser = browser_steps(arguments, served()) if "browser" in groups else iter(())
    alone = groups == {"browser"}
    return (browser, []) if alone else (chain(lint, others), list(browser))


def end(*_: object) -> NoReturn:
    sys.exit(143)  # as an exception, so that the servers are ended


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the checks.")
    parser.add_argument("--only", choices=GROUPS, action="append", help="this group; may be given several times")
    parser.add_argument("pytest", nargs="*", help="after --: for pytest")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, end)
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            steps, beside = all_steps(set(options.only or GROUPS), options.pytest, stack)
            outcomes = run_all(steps, beside, may_be_empty=bool(options.pytest))
    except Refusal as refusal:
        print(f"Editloop: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(report(outcomes, time.monotonic() - started), flush=True)
    return 0 if all(one.passed for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
