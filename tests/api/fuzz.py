"""Requests made from the interface's own description, sound and hostile, none of which may end in a 5xx.

    python -m tests.api.fuzz --requests 5000

makes a database of its own, sends so many, and prints what came back. Besides the status it checks that an answer is
one that the description names, and that its body is of the form that stands there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import tests.servers  # noqa: F401  # a queue and a folder of its own, before the settings are read

METHODS = ("get", "post", "patch", "delete")
REST = {404: "an address outside", 405: "another method", 406: "another form"}  # sent on purpose, by no operation
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", " ", "\x00", "a\x00b", "\ud800", "é\u202e", "../../etc/passwd", "%00", "' OR 1=1 --", "{{7*7}}"]
    ),
    st.just("x" * 200_000),
)
NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.sampled_from([2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 1e308, -0.0, 1.5, float("nan"), float("inf")]),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(lambda t: len(t) < 99), inner, max_size=3),
    max_leaves=6,
)
RAW = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"", b"{", b"[" * 50_000, b'{"a":' * 20_000, b'{"name": NaN}', b'{"raters": 1e999}']),
    st.sampled_from([b'{"\xff": 1}', b"\xef\xbb\xbf{}"]),
)
TYPES = st.sampled_from(
    ["application/json"] * 12 + ["text/plain", "", "application/json; charset=utf-16", "multipart/form-data"]
)


class Fuzz:
    """Strategies of one description, over rows that exist."""

    def __init__(self, schema: dict[str, Any], uids: dict[str, list[str]], names: dict[str, list[Any]]) -> None:
        """``names``: values that exist, by the name of a field: they lead past the first check."""
        self.schema, self.uids, self.names = schema, uids, names
        self.operations = [
            (method, path, operation)
            for path, operations in schema["paths"].items()
            for method, operation in operations.items()
            if method in METHODS
        ]

    def resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in part:
            part = self.schema["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]]
        return part

    def value(self, part: dict[str, Any], name: str = "") -> st.SearchStrategy[Any]:
        """What the description asks for, mostly."""
        if name in self.names:
            return st.sampled_from(self.names[name])
        part = self.resolved(part)
        if options := part.get("oneOf") or part.get("anyOf") or part.get("allOf"):
            return st.one_of([self.value(option) for option in options])
        if "enum" in part:
            return st.sampled_from(part["enum"])
        kind = part.get("type")
        simple = self.simple(part, kind[0] if isinstance(kind, list) else kind)
        if simple is not None:
            return simple
        if part.get("format") == "uuid":
            return st.uuids().map(str) | st.sampled_from(self.uids["datasets"])
        moments = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
        return moments if part.get("format") == "date-time" else st.text(max_size=20)

    def simple(self, part: dict[str, Any], kind: str | None) -> st.SearchStrategy[Any] | None:
        low = part.get("minimum", -5)
        if kind == "integer":
            return st.integers(low, min(part.get("maximum", 10**6), low + 300))
        if kind == "number":
            return st.floats(low, part.get("maximum", 10))
        if kind == "boolean":
            return st.booleans()
        return st.lists(self.value(part["items"]), max_size=3) if kind == "array" else None

    def mixed(self, part: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
        return st.integers(0, 5).flatmap(lambda roll: self.value(part, name) if roll else ANYTHING)

    def path(self, draw: Any, path: str) -> str:
        """Mostly what the address is about; now and then another row's UID, or no UID."""
        kinds = {"uid": path.split("/")[3], "member": "members"}
        strange = st.uuids().map(str) | TEXTS.map(lambda text: quote(text[:200], safe="", errors="surrogatepass"))
        every = [uid for uids in self.uids.values() for uid in uids]
        for name, kind in kinds.items():
            roll = draw(st.integers(0, 99))
            one = st.sampled_from(self.uids[kind] if roll < 75 else every) if roll < 90 else strange
            path = path.replace("{" + name + "}", draw(one)) if "{" + name + "}" in path else path
        return path

    def query(self, draw: Any, operation: dict[str, Any]) -> str:
        values = {}
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query" and draw(st.booleans()):
                values[parameter["name"]] = draw(self.mixed(parameter["schema"], "query " + parameter["name"]))
        if draw(st.integers(0, 9)) == 9:
            values[draw(st.text(max_size=9))] = draw(st.text(max_size=9))
        made = {
            key: json.dumps(value) if isinstance(value, dict | list) else str(value) for key, value in values.items()
        }
        return urlencode(made, errors="surrogatepass")

    def body(self, draw: Any, operation: dict[str, Any]) -> bytes:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        roll = draw(st.integers(0, 9))
        if content is None or roll == 0:
            return bytes(draw(RAW))
        if roll == 1:
            return json.dumps(draw(ANYTHING)).encode()
        part = self.resolved(content["schema"])
        needed = set(part.get("required", []))
        make = self.mixed if roll < 6 else self.value  # the rest is sound, to lead past the first checks
        value = {
            name: draw(make(inner, name))
            for name, inner in part["properties"].items()
            if draw(st.integers(0, 9)) < (9 if name in needed else 3)
        }
        return json.dumps(value).encode()

    def request(self, draw: Any) -> tuple[str, str, bytes, str, dict[str, Any] | None]:
        """(method, address, body, type of content, the operation; None: a method that is not there)."""
        method, path, operation = draw(st.sampled_from(self.operations))
        other = draw(st.integers(0, 19)) == 19
        found: dict[str, Any] | None = operation
        if other:
            method = draw(st.sampled_from(["put", "options", "trace", *METHODS]))
            found = self.schema["paths"][path].get(method)
        query = self.query(draw, operation)
        address = self.path(draw, path) + (f"?{query}" if query else "")
        return method.upper(), address, self.body(draw, operation), draw(TYPES), found


def check(answer: Any, operation: dict[str, Any] | None, schema: dict[str, Any]) -> None:
    """Whether the answer is what the description says. Raises AssertionError."""
    import jsonschema

    assert answer.status_code < 500, answer.content[:500]
    assert answer.status_code < 300 or answer.status_code >= 400
    if operation is None or answer.status_code in REST:
        assert answer.json()["error"]
        return
    known = operation["responses"].get(str(answer.status_code))
    assert known is not None, f"{answer.status_code} is not in the description: {answer.content[:300]!r}"
    part = known.get("content", {}).get("application/json")
    if part is not None:
        jsonschema.validate(answer.json(), {**part["schema"], "components": schema["components"]})
    if answer.status_code >= 400:
        assert answer.json()["error"]


def campaign(world: Any, requests: int) -> Counter[tuple[str, str, int]]:
    """Send so many requests. Returns how often each (method, address, status) came."""
    from scoring.api.schema import schema
    from tests.api.world import Program, scoped

    described = json.loads(json.dumps(schema()))
    names = {
        "dataset": [str(world.data.uid)],
        "editors": [["editor-0"], ["editor-0", "editor-1"], []],
        "username": ["ann", "erin"],
        "query dataset": [str(world.data.uid)],
        "query editor": ["editor-0"],
    }
    fuzz, seen = Fuzz(described, world.uids(), names), Counter[tuple[str, str, int]]()
    senders = [Program(world.token)] * 8 + [Program(""), scoped(world.engineer, "read")]

    @hypothesis_settings(
        max_examples=requests,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def one(data: Any) -> None:
        method, address, body, kind, operation = fuzz.request(data.draw)
        sender = data.draw(st.sampled_from(senders))
        answer = sender.send(method, address, raw=body, content_type=kind)
        name = next((row[2]["operationId"] for row in fuzz.operations if row[2] is operation), "another method")
        seen[method, name, answer.status_code] += 1
        try:
            check(answer, operation, described)
        except Exception as error:
            raise AssertionError(f"{method} {address[:300]} {kind} {body[:300]!r}: {error}") from error

    one()
    return seen


@contextmanager
def unlimited() -> Iterator[None]:
    """Without limits of how often: they are checked elsewhere."""
    from scoring.api.access import PerMinute

    kept = {name: getattr(PerMinute, name) for name in ("reads", "writes", "heavy")}
    for name in kept:
        setattr(PerMinute, name, sys.maxsize)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(PerMinute, name, value)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--requests", type=int, default=5000)
    count = arguments.parse_args().requests
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django

    django.setup()
    from django.db import connection, transaction
    from django.test.utils import setup_test_environment

    from tests.api.world import world

    setup_test_environment()
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    start = time.monotonic()
    with transaction.atomic(), unlimited():
        seen = campaign(world(), count)
        transaction.set_rollback(True)
    by_status: Counter[int] = Counter()
    for (_method, _name, status), number in seen.items():
        by_status[status] += number
    for (method, name, status), number in sorted(seen.items(), key=lambda row: (row[0][1], row[0][2])):
        print(f"{number:6} {status} {method:7} {name}")
    print(f"{sum(seen.values())} requests in {time.monotonic() - start:.0f} s: {dict(sorted(by_status.items()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
