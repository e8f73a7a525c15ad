"""A small server that speaks the annotation pages' JSON API and can fail on demand.

It serves the real templates and scripts, keeps every event it was sent, and follows the rules that the pages rely on:
an event key sent twice is saved once, answers come back with an assignment, a refusal names its event.
"""

import json
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.template import Context, Engine

from tests.js.pictures import picture

ROOT = Path(__file__).resolve().parents[2]
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

QUALITY = {
    "key": "quality",
    "label": "Visual quality",
    "rubric": "Does the edited picture look real, clean and pleasant?",
    "scale": {"min": 0, "max": 5, "step": 1, "anchors": {"5": "real and clean", "3": "small flaws", "0": "unusable"}},
    "difference": False,
}
ALIGNMENT = {**QUALITY, "key": "alignment", "label": "Editing alignment", "rubric": "Was the instruction carried out?"}
PRESERVATION = {**QUALITY, "key": "preservation", "label": "Attribute preservation", "difference": True}
CONTINUOUS = {"min": 1, "max": 5, "step": 0.1, "anchors": {"1": "bad", "3": "fair", "5": "excellent"}}


def study(kind: str = "rating", **changes: Any) -> dict[str, Any]:
    """The JSON of a study's page."""
    urls = {name: f"/work/s/{name}" for name in ("next", "events", "back")}
    return {
        "uid": "study-1",
        "name": "Photographs, first round",
        "kind": kind,
        "demo": True,
        "label": "Demo data. Classical edits of photographs.",
        "dimensions": [QUALITY],
        "duels": "extremes",
        "annotator": "carol",
        "user_id": 7,
        "guidelines": "<p>Look at the whole picture first.</p>",
        "urls": {**urls, "home": "/work/"},
        **changes,
    }


def assignment(name: str = "", letters: str = "A", dimension: str | None = None, **changes: Any) -> dict[str, Any]:
    """One assignment; its images are drawn from the name, so that items differ."""
    uid = str(uuid4())
    size = {"width": changes.pop("width", 96), "height": changes.pop("height", 96)}

    def image(letter: str) -> dict[str, Any]:
        return {"url": f"/work/image/{uid}/{letter}.webp", **size}

    return {
        "uid": uid,
        "unit": str(uuid4()),
        "kind": "",
        "dimension": dimension,
        "round": 1,
        "case": {"instruction": name or "Remove the cup.", "instruction_zh": "", "requirement": "", "task": "remove"},
        "source": image("source"),
        "images": [{"letter": letter, **image(letter)} for letter in letters],
        "events": [],
        "revising": False,
        "lease_until": (datetime.now(UTC) + timedelta(minutes=20)).isoformat(),
        **changes,
    }


def render(kind: str, value: dict[str, Any]) -> str:
    """The page from the real templates."""
    engine = Engine(
        dirs=[str(ROOT / "templates")],
        libraries={"i18n": "django.templatetags.i18n", "static": "tests.js.static_tag"},
    )
    return engine.get_template(f"work/{kind}.html").render(Context({"value": value, "csrf_token": "a-token"}))


@dataclass
class FakeServer:
    """``failures``: what the next requests to the API meet: "500", "drop", "lost" (stored, but the answer is lost),
    "401", "step", "sign-in" or "html".

    ``refuse``: kind of event -> the sentence it is refused with. ``late``: submit as extra. ``pause``: the break.
    ``feedback``: on every submission. ``step``: what comes before more work, in every answer.
    """

    study: dict[str, Any]
    waiting: list[dict[str, Any]]
    failures: deque[str] = field(default_factory=deque)
    refuse: dict[str, str] = field(default_factory=dict)
    late: bool = False
    pause: dict[str, Any] | None = None
    feedback: dict[str, Any] | None = None
    step: dict[str, Any] | None = None
    image_delay: threading.Event = field(default_factory=threading.Event)
    total: int | None = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    leased: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    photographs: bool = False
    pictures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for one in self.waiting:
            one["kind"] = self.study["kind"]
        self.total = len(self.waiting)
        self.lock = threading.Lock()
        self.image_delay.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"fake": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.url = f"{self.address}/work/s/"

    def close(self) -> None:
        self.image_delay.set()
        self.server.shutdown()
        self.server.server_close()

    def of_kind(self, *kinds: str) -> list[dict[str, Any]]:
        """The stored events of some kinds, in the order they were stored."""
        return [event for event in self.stored.values() if event["kind"] in kinds]

    def answers(self) -> list[dict[str, Any]]:
        return [event["data"]["answer"] for event in self.of_kind("submit")]

    def more(self, body: dict[str, Any]) -> dict[str, Any]:
        """Fills the page up to the number that it wants to hold."""
        have = [uid for uid in body["have"] if uid in self.leased and uid not in self.done]
        given = [one for uid, one in self.leased.items() if uid not in have and uid not in self.done]
        while len(have) + len(given) < body["want"] and self.waiting and not self.pause:
            one = self.waiting.pop(0)
            self.leased[one["uid"]] = one
            given.append(one)
        given = given[: max(0, body["want"] - len(have))]
        left = [uid for uid in self.leased if uid not in self.done]
        done = None if left or self.waiting else "There is nothing more for you in this study. Thank you."
        progress = {"done": len(self.done), "today": len(self.done), "total": self.total, "worked_minutes": 3.5}
        return {
            "assignments": [self.value(one) for one in given],
            "progress": progress,
            "break": self.pause,
            "done": done,
            "step": self.step,
        }

    def value(self, one: dict[str, Any]) -> dict[str, Any]:
        mine = [event for event in self.stored.values() if event["assignment"] == one["uid"]]
        return {**one, "events": [*one["events"], *mine], "revising": one["uid"] in self.done}

    def record(self, body: dict[str, Any]) -> dict[str, Any]:
        saved, refused, submitted = [], [], {}
        for event in body["events"]:
            self.received.append(event)
            if event["key"] not in self.stored and event["kind"] in self.refuse:
                refused.append({"key": event["key"], "error": self.refuse[event["kind"]]})
                continue
            self.stored.setdefault(event["key"], event)
            saved.append(event["key"])
            if event["kind"] == "submit":
                uid = event["assignment"]
                self.done = [*(one for one in self.done if one != uid), uid]
                submitted[uid] = "extra" if self.late else "done"
        answer = {"saved": saved, "refused": refused, "submitted": submitted, **self.more(body)}
        return {**answer, "feedback": self.feedback} if submitted else answer

    def back(self, body: dict[str, Any]) -> dict[str, Any]:
        before = body["before"]
        earlier = self.done[: self.done.index(before)] if before in self.done else self.done
        return {"assignment": self.value(self.leased[earlier[-1]]) if earlier else None}


class Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/work/s/":
            self.reply(200, render(self.fake.study["kind"], self.fake.study).encode(), "text/html; charset=utf-8")
        elif path.startswith("/static/") and (ROOT / path[1:]).is_file() and ".." not in path:
            self.reply(200, (ROOT / path[1:]).read_bytes(), TYPES.get(Path(path).suffix, "application/octet-stream"))
        elif path.startswith("/work/image/"):
            self.image(path)
        else:
            self.reply(200 if path == "/blank" else 404, b"<!doctype html><title>Blank</title>", "text/html")

    def image(self, path: str) -> None:
        self.fake.image_delay.wait(10)
        _, _, _, uid, name = path.split("/")
        self.fake.pictures.append(uid)
        one = self.fake.leased[uid]
        content = picture(
            uid, name.removesuffix(".webp"), one["source"]["width"], one["source"]["height"], self.fake.photographs
        )
        self.reply(200, content, "image/webp")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.path.rsplit("/", 1)[-1]
        with self.fake.lock:
            self.fake.requests.append(name)
            failure = self.fake.failures.popleft() if self.fake.failures else None
            if failure and failure != "lost":
                self.fail(failure)
                return
            self.fake.bodies.append(body)
            actions = {"next": self.fake.more, "events": self.fake.record, "back": self.fake.back}
            answer = actions[name](body)
            if failure == "lost":
                self.fail("drop")
            else:
                self.json(200, answer)

    def fail(self, failure: str) -> None:
        if failure == "drop":
            self.close_connection = True
        elif failure == "sign-in":
            self.reply(302, b"", "text/html", [("Location", "/accounts/login/")])
        elif failure == "html":
            self.reply(200, b"<!doctype html><p>A proxy's page", "text/html")
        elif failure == "step":
            self.json(403, {"error": "Pass the test first.", "go": "/work/s/entry/"})
        elif failure == "401":
            self.json(401, {"error": "You are signed out."})
        else:
            self.json(int(failure), {"error": "The server could not store this."})

    def json(self, status: int, value: object) -> None:
        self.reply(status, json.dumps(value).encode(), "application/json")

    def reply(self, status: int, content: bytes, kind: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.send_response(status)
        for name, value in [
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", POLICY),
            *headers,
        ]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
