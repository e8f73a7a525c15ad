"""Scoring jobs as the processes that a worker starts, against a real HTTP server: killed, stopped, resumed, ended.

What was answered and written is never asked for again, and a limit is kept.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scoring.judging import run
from scoring.judging.loop import IN_A_ROW
from tests.endpoints.service import Asked, Service, error, running
from tests.endpoints.service import Reply as Answer
from tests.scoring.make import again, answer, answered, job, key_of, result, said
from training.gpu.run import KINDS
from webapp.endpoints.http import to_environment
from webapp.jobs.folder import JobError, JobRun

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds until a process that does not answer fails the test
ENDPOINT = {"kind": "endpoint", "endpoint": "local"}
PRICES = {"price_input": 2.0, "price_output": 10.0}
COST = 100 * 2e-6 + 20 * 10e-6
KEYS = [f"k{number}" for number in range(40)]


@contextmanager
def process(folder: Path, service: Service, **endpoint: Any) -> Iterator[subprocess.Popen[bytes]]:
    environ = {**os.environ, **to_environment([service.endpoint(**{**PRICES, **endpoint})])}
    command = [sys.executable, "-m", "scoring.judging.run", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as made:
        try:
            yield made
        finally:
            made.kill()


def finish(folder: Path, service: Service, **endpoint: Any) -> int:
    with process(folder, service, **endpoint) as made:
        return made.wait(PATIENCE)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


def mixed(asked: Asked) -> Answer:
    """Each key has an answer of its own kind."""
    number = int(key_of(asked)[1:])
    if number % 10 == 7:
        return answer("", refusal="No.")
    if number % 10 == 8:
        return answer("x", finish="content_filter")
    if number % 10 == 9:
        return answer("no JSON at all")
    return answer(said(number % 6), finish="length" if number % 10 == 6 else "stop")


def test_a_job_of_answers_of_every_kind(tmp_path: Path) -> None:
    with running(mixed) as service:
        folder = job(tmp_path, KEYS, {**ENDPOINT, "settings": {"tries": 1}}, requests=40, most_cost=5)
        assert finish(folder, service, concurrency=8) == 0
        assert service.most_at_once <= 8
    assert result(folder)["status"] == "succeeded"
    summary = result(folder)["summary"]
    wanted = {"parsed": 24, "repaired": 0, "refused": 4, "filtered": 4, "failed": 8}
    assert {name: summary[name] for name in wanted} == wanted
    assert (summary["failed: cut off"], summary["failed: unreadable"]) == (4, 4)
    assert summary["cost"] == pytest.approx(44 * COST)
    for row in answered(folder):
        number = int(row["key"][1:])
        assert row["score"] == (number % 6 if number % 10 < 6 else None)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_that_was_written_is_asked_or_paid_again(tmp_path: Path, how: signal.Signals) -> None:
    at_once, threads = 4, 5  # one reads its pictures while the others wait
    with running(lambda asked: Answer(**{**vars(answer(said(3))), "pause": 0.05})) as service:
        folder = job(tmp_path, KEYS, ENDPOINT)
        with process(folder, service, concurrency=at_once) as made:
            until(lambda: len(answered(folder)) >= 10)
            made.send_signal(how)
            made.wait(PATIENCE)
        written = {row["key"] for row in answered(folder)}
        came = len(service.asked)
        before = [key_of(asked) for asked in service.asked if asked.body]  # the kill may cut a request off
        assert 10 <= len(written) < len(KEYS)
        if how == signal.SIGTERM:
            assert result(folder)["status"] == "cancelled"
            assert set(before) == written, "what was under way was kept"
        assert len(set(before) - written) <= threads
        again(folder, 2)
        assert finish(folder, service, concurrency=at_once) == 0
        after = [key_of(asked) for asked in service.asked[came:]]
    assert not written & set(after)
    assert Counter(row["key"] for row in answered(folder)) == Counter(KEYS)
    assert max(Counter(before + after).values()) <= (2 if how == signal.SIGKILL else 1)
    assert result(folder)["summary"]["parsed"] == 40
    assert result(folder)["summary"]["cost"] == pytest.approx(40 * COST)


def test_a_line_torn_by_a_kill_is_asked_again(tmp_path: Path) -> None:
    with running(lambda asked: answer(said(3))) as service:
        folder = job(tmp_path, KEYS[:3], ENDPOINT)
        assert finish(folder, service) == 0
        path = folder / "events.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if b'"k2"' not in line]
        torn = next(line for line in lines if b'"k2"' in line)[:-20]
        path.write_bytes(b"".join(kept) + torn)
        assert finish(folder, service) == 0
        assert Counter(key_of(asked) for asked in service.asked) == {"k0": 1, "k1": 1, "k2": 2}
    assert sorted(row["key"] for row in answered(folder)) == ["k0", "k1", "k2"]


def test_the_spending_limit_stops_the_process(tmp_path: Path) -> None:
    with running(lambda asked: answer(said(3))) as service:
        folder = job(tmp_path, KEYS, ENDPOINT, most_cost=COST * 9.5)
        assert finish(folder, service, concurrency=2) == 1
        assert 10 <= len(service.asked) <= 13, "what was under way, or ready to go"
        assert len(answered(folder)) == len(service.asked), "what was paid is kept"
        assert "spending limit" in result(folder)["message"]
        again(folder, 2, most_cost=1)
        assert finish(folder, service, concurrency=2) == 0
        assert len(service.asked) == 40


def test_a_service_out_of_order_ends_the_job_and_a_resume_goes_on(tmp_path: Path) -> None:
    with running(lambda asked: answer("I cannot say.")) as service:
        folder = job(tmp_path, KEYS, {**ENDPOINT, "settings": {"tries": 0}})
        assert finish(folder, service, concurrency=2) == 1
        assert "all in vain" in result(folder)["message"]
        assert IN_A_ROW <= len(service.asked) <= IN_A_ROW + 3
        service.usual = lambda asked: answer(said(2))
        again(folder, 2)
        assert finish(folder, service) == 0
    assert result(folder)["summary"]["parsed"] == 40


CANNOT_START: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"kind": "endpoint", "endpoint": "other"}, {}, "no endpoint “other”"),
    ({"kind": "endpoint"}, {}, "Name the judge's endpoint"),
    ({**ENDPOINT, "settings": [7]}, {}, "Name the judge's endpoint"),
    ({**ENDPOINT, "settings": {"heat": 1}}, {}, "Unknown settings: heat"),
    (ENDPOINT, {"kind": "images"}, "kind images"),
    (ENDPOINT, {"price_input": None}, "give it prices"),
    ({"kind": "oracle"}, {}, "knows no judge 'oracle'"),
    ({"kind": "replay"}, {}, "knows no judge 'replay'"),
    ({"kind": "replay", "file": "gone.jsonl"}, {}, "cannot be read"),
]


@pytest.mark.parametrize(("judge", "endpoint", "words"), CANNOT_START)
def test_a_judge_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: dict[str, Any], endpoint: dict[str, Any], words: str
) -> None:
    with running() as service:
        environ = to_environment([service.endpoint(**{**PRICES, **endpoint})])
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        made = JobRun(job(tmp_path, KEYS, judge, most_cost=1))
        with pytest.raises(JobError, match=words):
            run.work(made)
        assert service.asked == []


def test_a_job_without_a_judge_or_of_another_kind(tmp_path: Path) -> None:
    folder = job(tmp_path, KEYS, {})
    again(folder, 1, judge=None)
    made = JobRun(folder)
    with pytest.raises(JobError, match="which judge"):
        run.work(made)
    made.kind = "generate"
    with pytest.raises(JobError, match="only: score-service, score"):
        run.work(made)


def test_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([]) == run.main([str(tmp_path / "gone")]) == run.main([str(tmp_path)]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_finished_run_is_a_record(tmp_path: Path) -> None:
    with running(
        lambda asked: error(500) if key_of(asked) == "k3" else answer(said(int(key_of(asked)[1:])))
    ) as service:
        first = job(tmp_path / "first", KEYS[:3], ENDPOINT)
        assert finish(first, service) == 0
        record = {"kind": "replay", "file": "../first/events.jsonl"}
        second = job(tmp_path / "second", KEYS[:4], record)
        assert finish(second, service) == 0
        assert len(service.asked) == 3, "the second run asked nobody"
    assert {row["key"]: row["score"] for row in answered(second)} == {"k0": 0.0, "k1": 1.0, "k2": 2.0, "k3": None}
    summary = result(second)["summary"]
    assert (summary["parsed"], summary["failed: not recorded"], summary["cost"]) == (3, 1, 0.0)


def test_the_gpu_process_knows_the_kind(tmp_path: Path) -> None:
    made = JobRun(job(tmp_path, KEYS, {"kind": "there_is_no_such_judge", "settings": {}}))
    with pytest.raises(JobError, match="there_is_no_such_judge"):
        KINDS["score"](made)
