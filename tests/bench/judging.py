"""A scoring job of 10,000 requests against an endpoint that takes 200 ms for each: `python -m tests.bench.judging [n]`.

The job is the process that a worker starts, with 64 requests at once; the endpoint is a process of its own on the same
machine, so the two share its cores. Every edit is a picture file of its own, 64 pixels wide; 20 edits share a source.
The ideal rate is 64 / 0.2 s. Memory is the job's resident memory, looked at twice a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scoring.judging.contract import Request
from webapp.endpoints.http import EndpointConfig, to_environment
from webapp.jobs.folder import read_events

ROOT = Path(__file__).resolve().parents[2]
CALLS, AT_ONCE, LATENCY, EDITS, SIDE = 10_000, 64, 0.2, 20, 64
TEXT = "Judge the edit. " * 100  # about as long as a rendered prompt
SAID = {"answers": [{"question": 1, "answer": "yes", "why": "it is red"}], "reasoning": "It fits. " * 20, "score": 4}


def row(what: str, value: float, unit: str, target: str = "") -> None:
    print(json.dumps({"what": what, "value": round(value, 3), "unit": unit, "target": target}), flush=True)


# The endpoint ---------------------------------------------------------------------------------------------------------


def answer() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": json.dumps(SAID)}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 900, "completion_tokens": 80}
    body = json.dumps({"id": "c", "model": "bench", "choices": [choice], "usage": usage}).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Endpoint:
    """Reads requests, answers each after LATENCY, and counts."""

    def __init__(self) -> None:
        self.calls = self.at_once = self.most_at_once = 0
        self.reply = answer()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                self.calls += 1
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                await asyncio.sleep(LATENCY)
                self.at_once -= 1
                writer.write(self.reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def serve() -> None:
    """Prints the port, then, at SIGTERM, the counts."""
    endpoint, end = Endpoint(), asyncio.Event()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, backlog=256)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await end.wait()
    print(json.dumps({"calls": endpoint.calls, "most_at_once": endpoint.most_at_once}), flush=True)


# The job --------------------------------------------------------------------------------------------------------------


def make_job(folder: Path, calls: int) -> None:
    (folder / "inputs").mkdir()
    chance = np.random.default_rng(0)
    rows = []
    for number in range(calls):
        source, edited = f"inputs/s{number // EDITS}.png", f"inputs/e{number}.png"
        for name in {edited} if number % EDITS else {source, edited}:
            small = Image.fromarray(chance.integers(0, 255, (8, 8, 3), dtype=np.uint8))
            small.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(folder / name)
        rows.append(Request(f"k{number}", f"{TEXT} {number}", source, edited, 0, 5, ("colour",)).to_json())
    (folder / "inputs" / "requests.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    config = {"judge": {"kind": "endpoint", "endpoint": "bench", "settings": {}}, "most_cost": 1000}
    (folder / "job.json").write_text(json.dumps({"kind": "score", "config": config}))


def resident(pid: int) -> float:
    """MB; 0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def run_job(folder: Path, port: int) -> tuple[float, list[tuple[float, float]]]:
    """Seconds of the whole process, and its memory (time, MB)."""
    endpoint = EndpointConfig(
        "bench",
        "chat",
        f"http://127.0.0.1:{port}/v1",
        "bench",
        concurrency=AT_ONCE,
        price_input=1.0,
        price_output=1.0,
        allow_private=True,
    )
    environ = {**os.environ, **to_environment([endpoint])}
    command = [sys.executable, "-m", "scoring.judging.run", str(folder)]
    start, memory = time.perf_counter(), []
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL) as process:
        while process.poll() is None:
            memory.append((time.time(), resident(process.pid)))
            time.sleep(0.5)
    if process.returncode:
        raise SystemExit((folder / "result.json").read_text())
    return time.perf_counter() - start, memory


def report(folder: Path, seconds: float, memory: list[tuple[float, float]], served: dict[str, Any], calls: int) -> None:
    events = read_events(folder / "events.jsonl")[0]
    answers = [event["time"] for event in events if event["event"] == "answer" and event["status"] == "parsed"]
    if len(answers) != calls or served["calls"] != calls:
        raise SystemExit(f"{len(answers)} answers were kept and {served['calls']} calls made: {calls} were expected.")
    asking = answers[-1] - events[0]["time"]
    ideal = AT_ONCE / LATENCY
    row(f"{calls:,} calls, {AT_ONCE} at once, 200 ms each: rate", calls / asking, "1/s")
    row("share of the ideal rate", 100 * calls / asking / ideal, "%", "at least 90")
    row("share of the ideal rate, start and end of the process included", 100 * calls / seconds / ideal, "%")
    row("most requests at once, seen by the endpoint", served["most_at_once"], "", f"{AT_ONCE}")
    tenth, half = (max(size for at, size in memory if at <= answers[calls // part]) for part in (10, 2))
    peak = max(size for _, size in memory)
    row("memory, most until a tenth of the answers", tenth, "MB")
    row("memory, most until half of the answers", half, "MB")
    row("memory, most", peak, "MB")
    row("growth of memory in the second half", 100 * (peak / half - 1), "%", "under 10")
    print("memory (MB) every 5 s:", *(round(size) for _, size in memory[::10]))


def main(calls: int = CALLS) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_job(folder, calls)
        command = [sys.executable, "-m", "tests.bench.judging", "serve"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            port = int(server.stdout.readline())
            try:
                seconds, memory = run_job(folder, port)
            finally:
                server.terminate()
            served = json.loads(server.stdout.readline())
        report(folder, seconds, memory, served, calls)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main(*(int(word) for word in sys.argv[1:]))
