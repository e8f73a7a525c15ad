"""Boards: figures are computed once for all who watch, again when something changed, and sent whole."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import pytest

from webapp.live import boards, streams

Body = AsyncGenerator[bytes, None]


class Counting:
    """Figures that tell how often they were computed; ``wrong``: the next computations fail."""

    def __init__(self) -> None:
        self.count, self.wrong, self.value = 0, False, "first"

    def __call__(self) -> dict[str, Any]:
        self.count += 1
        if self.wrong:
            raise RuntimeError("no figures today")
        return {"value": self.value}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(boards, "GAP_SECONDS", 0.05)
    return Counting()


@pytest.fixture
def channel() -> str:
    return f"test:{uuid4()}"


@asynccontextmanager
async def watching(channel: str, compute: Callable[[], dict[str, Any]]) -> AsyncIterator[Body]:
    response = await boards.show(f"board of {channel}", [channel, f"{channel}:other"], compute)
    assert response["Content-Type"] == "text/event-stream"
    async with aclosing(cast(Body, response.streaming_content)) as body:
        yield body


async def until(body: Body, value: str) -> None:
    """Read on until these figures come."""
    async with asyncio.timeout(20):
        async for block in body:
            if block.startswith(b"event: figures"):
                shown = json.loads(block.decode().split("data: ", 1)[1])
                if shown == {"value": value}:
                    return


def test_it_works(channel: str, figures: Counting) -> None:
    async def watch() -> None:
        async with watching(channel, figures) as body:
            await until(body, "first")
            figures.value = "second"
            streams.publish(channel, "score", {})
            await until(body, "second")
            figures.value = "third"
            streams.publish(f"{channel}:other", "judgement", {})
            await until(body, "third")

    asyncio.run(watch())


def test_many_viewers_are_one_computation(channel: str, figures: Counting) -> None:
    async def watch(viewers: int) -> int:
        async def one(value: str, ready: asyncio.Event) -> None:
            async with watching(channel, figures) as body:
                await until(body, "first")
                ready.set()
                await until(body, value)

        ready = [asyncio.Event() for _ in range(viewers)]
        tasks = [asyncio.create_task(one("second", event)) for event in ready]
        await asyncio.gather(*(event.wait() for event in ready))
        before = figures.count
        figures.value = "second"
        streams.publish(channel, "score", {})
        await asyncio.gather(*tasks)
        return figures.count - before

    assert asyncio.run(watch(50)) == 1


def test_who_comes_late_gets_the_present_figures_without_a_computation(channel: str, figures: Counting) -> None:
    async def watch() -> tuple[int, int]:
        async with watching(channel, figures) as first:
            await until(first, "first")
            await asyncio.sleep(0.5)
            before = figures.count
            async with watching(channel, figures) as late:
                await until(late, "first")
            return before, figures.count

    before, after = asyncio.run(watch())
    assert before == after


def test_a_burst_of_changes_is_few_computations_and_the_last_is_seen(channel: str, figures: Counting) -> None:
    async def watch() -> int:
        async with watching(channel, figures) as body:
            await until(body, "first")
            for number in range(200):
                figures.value = f"number {number}"
                streams.publish(channel, "score", {})
            await until(body, "number 199")
        return figures.count

    assert asyncio.run(watch()) < 100


def test_figures_that_cannot_be_computed_leave_the_page_as_it_is(channel: str, figures: Counting) -> None:
    async def watch() -> None:
        async with watching(channel, figures) as body:
            await until(body, "first")
            figures.wrong = True
            streams.publish(channel, "score", {})
            await asyncio.sleep(0.5)
            figures.wrong, figures.value = False, "second"
            streams.publish(channel, "score", {})
            await until(body, "second")

    asyncio.run(watch())


def test_a_board_ends_with_its_last_viewer(channel: str, figures: Counting) -> None:
    async def watch() -> int:
        async def viewer() -> None:
            async with watching(channel, figures) as body:
                await until(body, "first")
                there.set()
                await until(body, "never")

        there = asyncio.Event()
        task = asyncio.create_task(viewer())
        await there.wait()
        task.cancel()  # as the server does when the browser is gone
        await asyncio.wait([task])
        await asyncio.sleep(0.2)
        before = figures.count
        streams.publish(channel, "score", {})
        await asyncio.sleep(0.3)
        assert figures.count == before, "nobody watches, so nothing is computed"
        return len(boards._boards[asyncio.get_running_loop()])

    assert asyncio.run(watch()) == 0
