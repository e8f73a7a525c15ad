"""Load: signed-in annotators who rate as fast as the server lets them, against the application with its defaults.

1, 10 and 30 annotators, each in a loop without a pause: answer an item, take the next. As the browser's page does, each
holds up to five items, and gets new ones in the answer to a submission when at most two are left. The client runs on
the same machine. Afterwards the database is asked: every acknowledged judgement is there once, no unit has too many.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 15.0
HOLD = 5  # as static/js/work/session.js
STEPS = (1, 10, 30)


class Annotator(threading.Thread):
    """One browser: one connection, one item at a time."""

    def __init__(self, address: str, seat: dict[str, str], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self.base, self.stop = f"/work/{seat['study']}/", stop
        self.headers = {
            "Content-Type": "application/json",
            "Cookie": f"sessionid={seat['session']}; csrftoken={seat['csrf']}",
            "X-CSRFToken": seat["csrf"],
        }
        self.seconds: list[float] = []
        self.judged: list[str] = []
        self.errors: list[str] = []

    def post(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        self.connection.request("POST", f"{self.base}{name}/", json.dumps(body), self.headers)
        response = self.connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {data[:200]!r}")
        value: dict[str, Any] = json.loads(data)
        return value

    def run(self) -> None:
        try:
            held = [item["uid"] for item in self.post("next", {"have": [], "want": HOLD})["assignments"]]
            while held and not self.stop.is_set():
                held = self.judge(held[0], held[1:])
        except (RuntimeError, OSError, http.client.HTTPException, KeyError) as error:
            self.errors.append(repr(error))

    def judge(self, assignment: str, others: list[str]) -> list[str]:
        """Answer one item; returns the items held afterwards."""
        scores = {"quality": 3.5, "alignment": 4.0, "preservation": 2.1}
        answer = {"scores": scores, "flag": None, "remark": ""}
        events = [
            {"key": str(uuid.uuid4()), "assignment": assignment, "seq": seq, "kind": kind, "data": data, "at": 0}
            for seq, (kind, data) in enumerate((("open", {}), ("submit", {"answer": answer})))
        ]
        started = time.perf_counter()
        said = self.post("events", {"events": events, "have": others, "want": HOLD})
        self.seconds.append(time.perf_counter() - started)
        if said["submitted"] != {assignment: "done"} or said["refused"]:
            self.errors.append(str(said)[:200])
        self.judged.append(assignment)
        return others + [item["uid"] for item in said["assignments"]]


def measure(address: str, seats: list[dict[str, str]]) -> list[str]:
    """Run ``seats`` annotators for a while; print the figures; return the assignments that were acknowledged."""
    stop = threading.Event()
    people = [Annotator(address, seat, stop) for seat in seats]
    started = time.perf_counter()
    for person in people:
        person.start()
    time.sleep(SECONDS)
    stop.set()
    for person in people:
        person.join(60)
    elapsed = time.perf_counter() - started
    times = sorted(second for person in people for second in person.seconds)
    errors = [error for person in people for error in person.errors]
    who = f"{len(seats)} annotator{'s' if len(seats) > 1 else ''}"
    row(f"{who}: judgements a second", len(times) / elapsed, "1/s", "at least 100" if len(seats) == 30 else "")
    row(f"{who}: p50 of an answer with the next item", 1000 * times[len(times) // 2], "ms")
    goal = "under 200" if len(seats) == 30 else ""
    row(f"{who}: p95 of an answer with the next item", 1000 * times[int(len(times) * 0.95)], "ms", goal)
    row(f"{who}: errors", len(errors), "", "0")
    for error in errors[:3]:
        print(error)
    return [uid for person in people for uid in person.judged]


def row(what: str, value: float, unit: str = "", target: str = "") -> None:
    print(json.dumps({"what": what, "value": value, "unit": unit, "target": target}), flush=True)


def seed(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "tests.bench.load_data", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def wait_until_up(var: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while not (var / "up.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("The application did not start.")
        time.sleep(0.2)
    state: dict[str, Any] = json.loads((var / "up.json").read_text())
    return state


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="editloop-load-") as folder:
        var = Path(folder) / "var"
        environment = {**os.environ, "EDITLOOP_VAR": str(var), "EDITLOOP_PORT": "0", "EDITLOOP_DEMO": "0"}
        log = (Path(folder) / "log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.up"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            address = wait_until_up(var, process)["address"]
            seats = json.loads(seed(environment, "make", str(max(STEPS))))
            judged: list[str] = []
            for count in STEPS:
                judged += measure(address, seats[:count])
            check = json.loads(seed(environment, "check"))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        row("judgements acknowledged and not stored", len(set(judged) - set(check["stored"])), "", "0")
        row("judgements stored twice, or units leased too often", check["doubled"] + check["overtaken"], "", "0")


if __name__ == "__main__":
    main()
