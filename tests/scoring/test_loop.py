"""Scoring jobs: every answer kept as it comes, limits kept over all attempts, ends in words."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scoring.judging import loop
from scoring.judging.contract import Judge, JudgeError, Reply, Request, Status
from scoring.judging.loop import IN_A_ROW, score
from tests.scoring.make import again, answered, job, pictures, request
from webapp.jobs.folder import JobError, JobRun, JobStopped, read_events

PATIENCE = 60  # seconds until a process that does not answer fails the test
KEYS = [f"k{number}" for number in range(40)]


class Scripted:
    """Answers as ``say`` says, and notes what it was asked."""

    def __init__(self, say: Callable[[Request], Reply], batch: int = 4, threads: int = 0) -> None:
        self.say, self.batch, self.threads = say, batch, threads
        self.calls: list[list[str]] = []
        self.closed = False

    def judge(self, requests: Sequence[Request]) -> list[Reply]:
        self.calls.append([one.key for one in requests])
        return [self.say(one) for one in requests]

    def close(self) -> None:
        self.closed = True

    @property
    def asked(self) -> list[str]:
        return [key for call in self.calls for key in call]


def good(request: Request) -> Reply:
    return Reply(Status.PARSED, 3.0, cost=0.5, tokens_in=10, tokens_out=2, seconds=2.0)


def failed(request: Request, kind: str = "server") -> Reply:
    return Reply(Status.FAILED, kind=kind, note=f"out of order at {request.key}", cost=0.25)


def attempt(folder: Path, judge: Judge) -> dict[str, Any]:
    run = JobRun(folder)
    try:
        return score(run, lambda config: judge)
    finally:
        run._owner.close()
        run._events.close()


@pytest.mark.parametrize("threads", [0, 3])
def test_every_request_is_answered_once(tmp_path: Path, threads: int) -> None:
    judge = Scripted(good, threads=threads)
    summary = attempt(job(tmp_path, KEYS[:10], {"kind": "x"}, requests=10), judge)
    assert sorted(judge.asked) == sorted(KEYS[:10])
    assert [len(call) for call in judge.calls] == ([1] * 10 if threads else [4, 4, 2])
    assert judge.closed
    rows = answered(tmp_path)
    assert Counter(row["key"] for row in rows) == Counter(KEYS[:10])
    assert {(row["status"], row["score"]) for row in rows} == {("parsed", 3.0)}
    assert {row["key"]: row["ref"] for row in rows} == {key: [7, number] for number, key in enumerate(KEYS[:10])}
    assert summary == {
        "requests": 10,
        "parsed": 10,
        "repaired": 0,
        "refused": 0,
        "filtered": 0,
        "failed": 0,
        "tokens_in": 100,
        "tokens_out": 20,
        "cost": 5.0,
        "mean_seconds": 2.0,
    }
    last = [event for event in read_events(tmp_path / "events.jsonl")[0] if event["event"] == "progress"][-1]
    assert (last["done"], last["total"], last["message"]) == (10, 10, "10 parsed")


def test_an_empty_list_is_done_and_needs_no_judge(tmp_path: Path) -> None:
    run = JobRun(job(tmp_path, [], {"kind": "x"}))

    def load(_judge: object) -> Judge:
        raise AssertionError("it is not loaded")

    assert score(run, load)["requests"] == 0


def test_pictures_are_found_from_anywhere(tmp_path: Path) -> None:
    seen: list[Request] = []
    folder = job(tmp_path / "job", ["a"], {"kind": "x"})
    row = request("b", *pictures(tmp_path / "elsewhere")).to_json()
    with (folder / "inputs" / "requests.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    attempt(folder, Scripted(lambda asked: seen.append(asked) or good(asked)))  # type: ignore[func-returns-value]
    assert [Path(one.source).is_file() and Path(one.edited).is_file() for one in seen] == [True, True]


@pytest.mark.parametrize("threads", [0, 3])
def test_what_is_final_is_not_asked_again_and_what_failed_is_last(tmp_path: Path, threads: int) -> None:
    statuses = {"a": Status.REPAIRED, "b": Status.REFUSED, "c": Status.FILTERED, "d": Status.FAILED}
    folder = job(tmp_path, ["d", "a", "b", "c", "e"], {"kind": "x"})
    run = JobRun(folder)
    for key, status in statuses.items():
        value = 2.0 if status is Status.REPAIRED else None
        run.emit("answer", key=key, **Reply(status, value, cost=1.0, kind="x").to_json())
    run.emit("answer", key="another list's", **good(request()).to_json())
    run._owner.close()
    judge = Scripted(good, batch=1, threads=threads)
    summary = attempt(folder, judge)
    assert sorted(judge.asked) == ["d", "e"]
    assert threads or judge.asked == ["e", "d"], "what failed before comes last"
    counts = {name: summary[name] for name in ("requests", "parsed", "repaired", "refused", "filtered", "failed")}
    assert counts == {"requests": 5, "parsed": 2, "repaired": 1, "refused": 1, "filtered": 1, "failed": 0}
    assert summary["cost"] == 4.0 + 0.5 + 2 * 0.5, "all attempts"
    judge = Scripted(good)
    attempt(folder, judge)
    assert judge.calls == [], "all is done"


@pytest.mark.parametrize("threads", [0, 3])
def test_a_row_of_failures_for_one_reason_ends_the_job(tmp_path: Path, threads: int) -> None:
    folder = job(tmp_path, KEYS, {"kind": "x"})
    judge = Scripted(failed, batch=1, threads=threads)
    with pytest.raises(JobError, match=r"last 2\d requests were all in vain.*out of order"):
        attempt(folder, judge)
    assert IN_A_ROW <= len(judge.asked) <= IN_A_ROW + threads
    again(folder, 2)
    judge = Scripted(good)
    assert attempt(folder, judge)["parsed"] == len(KEYS)
    assert sorted(judge.asked) == sorted(KEYS), "they are tried again"


def test_failures_for_other_reasons_and_of_their_own_do_not_end_it(tmp_path: Path) -> None:
    def say(asked: Request) -> Reply:
        number = int(asked.key[1:])
        return good(asked) if number == 39 else failed(asked, "picture" if number < 25 else f"kind {number % 2}")

    summary = attempt(job(tmp_path, KEYS, {"kind": "x"}), Scripted(say))
    assert (summary["parsed"], summary["failed"], summary["failed: picture"]) == (1, 39, 25)


def test_nothing_answered_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"None of the 3 requests was answered.*out of order at k2"):
        attempt(job(tmp_path, KEYS[:3], {"kind": "x"}), Scripted(failed))


@pytest.mark.parametrize("threads", [0, 1])
def test_the_spending_limit_is_kept_over_all_attempts(tmp_path: Path, threads: int) -> None:
    folder = job(tmp_path, KEYS, {"kind": "x"}, most_cost=2.2)
    judge = Scripted(good, batch=1, threads=threads)
    with pytest.raises(JobError, match=r"spending limit of 2\.2 is reached: 2\.5 spent, 5 of 40"):
        attempt(folder, judge)
    assert len(judge.asked) == 5
    with pytest.raises(JobError, match="limit"):
        attempt(folder, judge)
    assert len(judge.asked) == 5, "nothing more was sent"
    again(folder, 2, most_cost=3.0)
    with pytest.raises(JobError, match="limit"):
        attempt(folder, judge)
    assert len(judge.asked) == 6
    again(folder, 3, most_cost=None)
    assert attempt(folder, judge)["cost"] == 20.0
    again(folder, 4, most_cost=0)
    assert attempt(folder, judge)["parsed"] == 40, "nothing is left to pay for"


def test_failures_are_paid_too(tmp_path: Path) -> None:
    folder = job(tmp_path, KEYS, {"kind": "x"}, most_cost=1)
    with pytest.raises(JobError, match="limit"):
        attempt(folder, Scripted(failed, batch=1))
    assert len(answered(folder)) == 4


def test_a_limit_needs_known_costs(tmp_path: Path) -> None:
    folder = job(tmp_path, KEYS, {"kind": "x"}, most_cost=100)
    judge = Scripted(lambda asked: Reply(Status.PARSED, 3.0, cost=None), batch=1)
    with pytest.raises(JobError, match="cannot be kept"):
        attempt(folder, judge)
    assert len(judge.asked) == 1
    again(folder, 2, most_cost=None)
    assert attempt(folder, judge)["cost"] is None


@pytest.mark.parametrize("threads", [0, 3])
def test_a_judge_that_cannot_go_on_ends_the_job_and_keeps_what_came(tmp_path: Path, threads: int) -> None:
    def say(asked: Request) -> Reply:
        if asked.key == "k9":
            raise JudgeError("the key is wrong")
        return good(asked)

    with pytest.raises(JobError, match="the key is wrong"):
        attempt(job(tmp_path, KEYS, {"kind": "x"}), Scripted(say, batch=1, threads=threads))
    assert 9 <= len(answered(tmp_path)) < len(KEYS)


def test_a_fault_of_the_program_is_reported_from_a_thread(tmp_path: Path) -> None:
    def say(asked: Request) -> Reply:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        attempt(job(tmp_path, KEYS, {"kind": "x"}), Scripted(say, threads=2))


def test_at_a_stop_what_is_under_way_is_kept_and_nothing_is_sent(tmp_path: Path) -> None:
    begun, gate = threading.Barrier(4), threading.Event()

    def say(asked: Request) -> Reply:
        begun.wait(PATIENCE)
        gate.wait(PATIENCE)
        return good(asked)

    run = JobRun(job(tmp_path, KEYS, {"kind": "x"}))
    judge = Scripted(say, threads=3)

    def stop() -> None:
        begun.wait(PATIENCE)
        run.stop()
        time.sleep(0.6)  # the main thread looks in the meantime, more than once
        gate.set()

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(JobStopped):
        score(run, lambda config: judge)
    assert len(judge.asked) == len(answered(tmp_path)) == 3


def test_a_stop_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "DRAIN_SECONDS", 0.3)
    gate = threading.Event()
    run = JobRun(job(tmp_path, KEYS, {"kind": "x"}))

    def say(asked: Request) -> Reply:
        if asked.key == "k0":
            run.stop()
            gate.wait(PATIENCE)
        return good(asked)

    judge = Scripted(say, threads=1)
    with pytest.raises(JobStopped):
        score(run, lambda config: judge)
    before = len(answered(tmp_path))
    gate.set()
    time.sleep(0.2)
    assert len(answered(tmp_path)) == before == 0, "too late: the events' file may be closed by then"


def test_memory_holds_what_is_under_way_alone(tmp_path: Path) -> None:
    """The list is read as it is worked off: what is appended to it after the start is seen, so it was not held."""
    folder = job(tmp_path, KEYS, {"kind": "x"})
    path = folder / "inputs" / "requests.jsonl"
    run = JobRun(folder)
    scoring = loop._Scoring(run)
    with path.open("a") as file:
        file.write(json.dumps(request("late").to_json()) + "\n")
    assert [one.key for one in scoring.waiting][-1] == "late"


BAD_LINES = ["{", "[]", "7", '{"key": "x"}', "[" * 5000]
for name, value in {
    "low": 5,
    "high": "5",
    "key": "",
    "text": 7,
    "turn": True,
    "questions": [7],
    "ref": ["1"],
    "more": 1,
}.items():
    BAD_LINES.append(json.dumps({**request("x").to_json(), name: value}))


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_found_before_anything_is_asked(tmp_path: Path, line: str) -> None:
    folder = job(tmp_path, KEYS, {"kind": "x"})
    path = folder / "inputs" / "requests.jsonl"
    path.write_text(path.read_text() + line + "\n")
    judge = Scripted(good)
    with pytest.raises(JobError, match="line 41 is not a request"):
        attempt(folder, judge)
    assert judge.calls == []


def test_lists_that_are_wrong(tmp_path: Path) -> None:
    folder = job(tmp_path, ["a", "b", "a"], {"kind": "x"})
    with pytest.raises(JobError, match="key a twice"):
        attempt(folder, Scripted(good))
    again(folder, 1, requests=7)
    path = folder / "inputs" / "requests.jsonl"
    path.write_text(json.dumps(request("a").to_json()))
    with pytest.raises(JobError, match="has 1 requests, but the job was made for 7"):
        attempt(folder, Scripted(good))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(JobError, match="UTF-8"):
        attempt(folder, Scripted(good))
    path.unlink()
    with pytest.raises(JobError, match="is missing"):
        attempt(folder, Scripted(good))


@pytest.mark.parametrize("limit", [-1, "3", True, float("nan"), float("inf")])
def test_a_limit_that_is_none(tmp_path: Path, limit: object) -> None:
    with pytest.raises(JobError, match="spending limit must be a number"):
        attempt(job(tmp_path, KEYS, {"kind": "x"}, most_cost=limit), Scripted(good))
