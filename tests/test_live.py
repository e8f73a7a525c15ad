"""Live pages: events arrive, a broken connection goes on where it was, nobody hears what is not theirs."""

import asyncio
import http.client
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import pytest
from django.test import RequestFactory

from scripts.servers import free_port
from tests.installation import Installation, an_installation  # noqa: F401  # a fixture
from webapp.live import streams

Body = AsyncGenerator[bytes, None]
Event = tuple[str, str, Any]  # id, name, data


@pytest.fixture
def channel() -> str:
    return f"test:{uuid4()}"


def parse(block: str) -> Event | None:
    """One block of an event stream; None for a comment."""
    fields = dict(line.split(": ", 1) for line in block.strip().splitlines() if not line.startswith(":"))
    return (fields["id"], fields["event"], json.loads(fields["data"])) if "data" in fields else None


@asynccontextmanager
async def opened(channel: str, **request: Any) -> AsyncIterator[Body]:
    """The body of a stream, after its first comment: what is published from now on must arrive."""
    response = await streams.stream(RequestFactory().get("/live/", **request), channel)
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-store"
    async with aclosing(cast(Body, response.streaming_content)) as body:
        assert b": open" in await anext(body)
        yield body


async def take(body: Body, count: int) -> list[Event]:
    found: list[Event] = []
    while len(found) < count:
        event = parse((await asyncio.wait_for(anext(body), 30)).decode())
        found += [event] if event else []
    return found


def publish(channel: str, *values: object) -> None:
    for value in values:
        streams.publish(channel, "number", {"value": value})


def values(events: list[Event]) -> list[Any]:
    return [data["value"] for _id, _name, data in events]


def test_it_works(channel: str) -> None:
    async def watch() -> list[Event]:
        async with opened(channel) as body:
            publish(channel, 1, "zwei ü\n\nevent: forged", 3)
            return await take(body, 3)

    events = asyncio.run(watch())
    assert values(events) == [1, "zwei ü\n\nevent: forged", 3]
    assert [name for _id, name, _data in events] == ["number"] * 3


def test_what_came_before_is_not_told(channel: str) -> None:
    async def watch() -> list[Event]:
        publish(channel, "old")
        async with opened(channel) as body:
            publish(channel, "new")
            return await take(body, 1)

    assert values(asyncio.run(watch())) == ["new"]


def test_other_channels_are_not_heard(channel: str) -> None:
    async def watch() -> list[Event]:
        async with opened(channel) as body:
            publish(channel + "0", "theirs")
            publish(channel[:-1], "theirs")
            publish(channel, "ours")
            return await take(body, 1)

    assert values(asyncio.run(watch())) == ["ours"]


@pytest.mark.parametrize("where", ["header", "query"])
def test_a_broken_connection_goes_on_where_it_was(channel: str, where: str) -> None:
    def again(last: str) -> dict[str, Any]:
        return {"headers": {"Last-Event-ID": last}} if where == "header" else {"query_params": {"from": last}}

    async def watch() -> list[Event]:
        async with opened(channel) as body:
            publish(channel, *range(250))
            seen = await take(body, 120)
        publish(channel, *range(250, 300))  # while nobody listens
        async with opened(channel, **again(seen[-1][0])) as body:
            publish(channel, 300)
            return seen + await take(body, 181)

    events = asyncio.run(watch())
    assert values(events) == list(range(301))
    assert len({event[0] for event in events}) == 301


BAD = ["x", "1", "-", "1-", "0x1-0", "$", "1-0 2-0", "99999999999999999999-0", "0-99999999999999999999", "١-١", "+"]


@pytest.mark.parametrize("last", BAD)
def test_a_bad_id_is_ignored(channel: str, last: str) -> None:
    async def watch() -> list[Event]:
        publish(channel, "old")
        async with opened(channel, query_params={"from": last}) as body:
            publish(channel, "new")
            return await take(body, 1)

    assert values(asyncio.run(watch())) == ["new"]


@pytest.mark.parametrize("seconds", [0.05, 5.5])  # the second is longer than the Redis client waits by default
def test_a_quiet_stream_is_kept_open(channel: str, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(streams, "BEAT_SECONDS", seconds)

    async def watch() -> bytes:
        async with opened(channel) as body:
            assert await anext(body) == b": beat\n\n"
            publish(channel, 1)
            return await anext(body)

    event = parse(asyncio.run(watch()).decode())
    assert event is not None
    assert event[2] == {"value": 1}


def test_a_stream_keeps_the_newest_events_alone(channel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT", 10)
    publish(channel, *range(1000))
    kept = streams.client().xlen(f"live:{channel}")
    assert 10 <= int(kept) < 1000  # type: ignore[arg-type]  # "about ten": Redis drops whole nodes of a hundred
    assert 0 < int(streams.client().ttl(f"live:{channel}")) <= streams.LIFE_SECONDS  # type: ignore[arg-type]


def test_without_redis_nothing_breaks(channel: str, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    streams.client.cache_clear()
    streams._warned().clear()

    async def watch() -> list[bytes]:
        response = await streams.stream(RequestFactory().get("/live/"), channel)
        return [part async for part in cast(AsyncIterator[bytes], response.streaming_content)]

    try:
        publish(channel, 1, 2, 3)
        assert caplog.text.count("live events are not sent") == 1
        assert asyncio.run(watch()) == []
    finally:
        streams.client.cache_clear()


# Through the web server ----------------------------------------------------------------------------------------------

PEOPLE = """
from django.test import Client
from webapp.accounts.models import User
from webapp.jobs import services
answer = {}
for name, role in (("alice", "admin"), ("carol", "annotator")):
    user = User.objects.create_user(username=name, password="a-long-password", role=role)
    client = Client()
    client.force_login(user)
    answer[name] = client.cookies["sessionid"].value
answer["job"] = str(services.start(kind="generate", title="t", config={"dataset": None}, by=None).uid)
"""


@pytest.fixture
def served(installation: Installation) -> Any:
    """A started web server: its process, its port, people's sessions and a job."""
    port = free_port()
    process = installation.start("-m", "uvicorn", "webapp.asgi:application", "--port", str(port))
    answer = installation.ask(PEOPLE)

    def answers() -> bool:
        try:
            urlopen(f"http://127.0.0.1:{port}/live/job/{answer['job']}/").close()
        except URLError as error:
            return hasattr(error, "code")
        return True

    installation.until(answers, "the web server started")
    return installation, process, port, answer


@contextmanager
def watching(port: int, path: str, session: str = "", **headers: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Cookie": f"sessionid={session}", **headers})
    yield connection.getresponse()
    connection.close()


def next_event(response: http.client.HTTPResponse) -> Event:
    while True:
        block = "".join(iter(lambda: response.readline().decode(), "\n"))
        if event := parse(block):
            return event


def database_connections(here: Installation, process: int) -> int:
    """How many connections the web server holds."""
    if here.database_url.startswith("sqlite"):
        links = [os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir() if path.is_symlink()]
        return sum(link.endswith("own.sqlite3") for link in links)
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    return int(
        here.ask(
            f"from django.db import connection\ncursor = connection.cursor()\ncursor.execute({others!r})\n"
            "answer = cursor.fetchone()[0]"
        )
    )


def test_through_the_web_server(served: Any) -> None:
    here, process, port, people = served
    path = f"/live/job/{people['job']}/"

    def tell(*numbers: int) -> None:
        here.ask(
            "from webapp.live.streams import publish\n"
            f"for n in {numbers}: publish('job:{people['job']}', 'work', {{'n': n}})"
        )

    for url, session in ((path, ""), (path, people["carol"]), (f"/live/job/{uuid4()}/", people["alice"])):
        with watching(port, url, session) as refused:
            assert (refused.status, refused.read()) == (404, b"")
    with watching(port, path, people["alice"]) as one, watching(port, path, people["alice"]) as two:
        assert one.status == two.status == 200
        assert one.headers["Content-Type"] == "text/event-stream"
        assert one.headers["X-Accel-Buffering"] == "no"
        assert [response.readline() for response in (one, two)] == [b"retry: 2000\n"] * 2
        tell(1, 2)
        events = [next_event(one), next_event(one)]
        assert events == [next_event(two), next_event(two)]
        assert [data["n"] for _id, _name, data in events] == [1, 2]
        here.until(lambda: database_connections(here, process.pid) == 0, "no database connection is held", 20)
    tell(3)
    with watching(port, path, people["alice"], **{"Last-Event-ID": events[0][0]}) as again:
        tell(4)
        assert [next_event(again)[2]["n"] for _ in range(3)] == [2, 3, 4]
    here.ask("from webapp.accounts.models import User\nUser.objects.filter(username='alice').update(is_active=False)")
    with watching(port, path, people["alice"]) as closed:
        assert closed.status == 404
