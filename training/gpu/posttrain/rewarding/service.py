"""Our scoring service (training.gpu.reward.serve) as a source of reward: JSON alone, whole groups in one request.

Settings: {"endpoint": its short name, "dimension": "overall" or one of the model's, "fingerprint": of the model that it
must serve, "seconds": until an answer must be complete}. The endpoint's key is the service's token, and its base
address ends in /v1.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from PIL import Image

from training.gpu.posttrain.rewarding.model import OVERALL, grouped
from training.gpu.posttrain.rewarding.protocol import Judged, Reasons, Sample
from training.gpu.posttrain.rewarding.waiting import STOPPED, at_once
from training.gpu.reward.wire import MOST_BYTES, MOST_ITEMS, MOST_PIXELS
from webapp.endpoints.answers import read_body
from webapp.endpoints.errors import BadAnswer, EndpointError, WrongKey
from webapp.endpoints.http import (
    CHAT,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    TRIES,
    EndpointConfig,
    endpoint_named,
    sendable,
)
from webapp.endpoints.pace import Pace
from webapp.endpoints.transport import Guard, Transport
from webapp.jobs.folder import JobError, JobStopped

AT_ONCE = 64  # candidates of a request: the model takes no more in one pass
ROOM = 1024 * 1024  # bytes of a request that are left for its texts
KNOWN = ("endpoint", "dimension", "fingerprint", "seconds")
SECONDS = 120.0


class Service:
    """The requests, at the endpoint's pace, again where that may help."""

    def __init__(self, endpoint: EndpointConfig, seconds: float = SECONDS) -> None:
        self.endpoint, self.stopped = endpoint, Event()
        self._pace = Pace(endpoint.per_minute, self._wait)
        self._transport = Transport(Guard(endpoint.allow_private), seconds=seconds, connections=2)

    def ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """The JSON object of a good answer. Raises EndpointError, and JobStopped after a stop."""
        for attempt in range(TRIES - 1):
            try:
                return self._once(method, path, **content)
            except EndpointError as error:
                if not error.retry or (error.after or 0) > LONGEST_PAUSE:
                    raise
                pause = max(error.after or 0.0, FIRST_PAUSE * 2.0**attempt)
            self._wait(pause)
        return self._once(method, path, **content)

    def close(self) -> None:
        self.stopped.set()
        self._transport.close()

    def _once(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        self._wait(0)
        self._pace.turn()
        if not sendable(self.endpoint.key):
            raise WrongKey("The key holds a character that no key has. Enter it again.")
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self.endpoint.key}"}
        answer = self._transport.exchange(method, self.endpoint.base_url + path, headers=headers, **content)
        return read_body(answer, self.endpoint)

    def _wait(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise JobStopped


@dataclass
class _Request:
    """The items of one request; ``places``: of each item's candidates among the samples."""

    items: list[dict[str, Any]] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    size: int = 0
    pixels: int = 0
    count: int = 0

    def has_room(self, size: int, pixels: int) -> bool:
        if self.size + size > MOST_BYTES - ROOM or self.pixels + pixels > MOST_PIXELS:
            return False
        return self.count < AT_ONCE and len(self.items) < MOST_ITEMS

    def open(self, instruction: str, source: _Png) -> None:
        self.items.append({"instruction": instruction, "source": source.text, "candidates": []})
        self.places.append([])
        self.size, self.pixels = self.size + len(source.text) + _length(instruction), self.pixels + source.pixels

    def add(self, candidate: _Png, place: int) -> None:
        """To the item that was opened last."""
        self.items[-1]["candidates"].append(candidate.text)
        self.places[-1].append(place)
        self.size, self.pixels, self.count = (
            self.size + len(candidate.text),
            self.pixels + candidate.pixels,
            self.count + 1,
        )


class ServiceSource(Reasons):
    """See protocol.Source. ``fingerprint``: of the model; answers of another are missing ones."""

    def __init__(self, name: str, service: Service, dimension: str, scale: tuple[float, float], fingerprint: str):
        super().__init__()
        self.name, self.service, self.dimension, self.fingerprint = name, service, dimension, fingerprint
        self.low, self.high = scale

    def judge(self, samples: Sequence[Sample]) -> list[Judged | None]:
        found: dict[int, Judged] = {}
        said: dict[int, str] = {}
        at_once(lambda: self._asked(samples, found, said), 1, self.service.stopped)
        every = [dict(found).get(place) for place in range(len(samples))]
        for place, one in enumerate(every):
            if one is None:
                self.missing(said.get(place, STOPPED))
        return every

    def stop(self) -> None:
        self.service.stopped.set()

    def close(self) -> None:
        self.service.close()

    def _asked(self, samples: Sequence[Sample], found: dict[int, Judged], said: dict[int, str]) -> None:
        """Request after request. After one that failed because of the service, the others fail with its reason."""
        why, down = "", False
        for request in _requests(samples):
            if not down:
                try:
                    answer = self.service.ask("POST", "/score", json={"items": request.items})
                    self._take(answer, request, found, said)
                    continue
                except EndpointError as error:
                    why, down = str(error), error.retry or error.fatal
                except JobStopped:
                    return
            said.update(dict.fromkeys((place for group in request.places for place in group), why))

    def _take(
        self, answer: Mapping[str, Any], request: _Request, found: dict[int, Judged], said: dict[int, str]
    ) -> None:
        """Raises BadAnswer for an answer of another shape or another model."""
        if answer.get("model") != self.fingerprint:
            raise BadAnswer("The scoring service has another model now than when the run began.")
        items = answer.get("items")
        each = items if isinstance(items, list) else []
        rows = [item.get("candidates") if isinstance(item, dict) else None for item in each]
        counts = [len(row) if isinstance(row, list) else -1 for row in rows]
        if counts != [len(places) for places in request.places]:
            raise BadAnswer("The scoring service did not answer each candidate that it was asked for.")
        for places, row in zip(request.places, rows, strict=True):
            for place, told in zip(places, row or (), strict=True):
                judged = self._judged(told)
                if isinstance(judged, str):
                    said[place] = judged
                else:
                    found[place] = judged

    def _judged(self, told: Any) -> Judged | str:
        """A candidate's answer, or why it has none."""
        if isinstance(told, dict) and isinstance(told.get("error"), str):
            return str(told["error"])
        try:
            of_whole = self.dimension not in told["mu"]
            mu = told["overall"] if of_whole else told["mu"][self.dimension]
            sigma = told["overall_sigma"] if of_whole else told["sigma"][self.dimension]
        except (KeyError, TypeError):
            return "The scoring service's answer for a candidate cannot be read."
        if not (_is_number(mu) and _is_number(sigma) and sigma >= 0):
            return "The scoring service gave no finite number."
        return Judged(float(mu), float(sigma), self.low, self.high)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class _Png:
    text: str
    pixels: int

    @classmethod
    def of(cls, picture: Image.Image) -> _Png:
        out = io.BytesIO()
        picture.save(out, "PNG", compress_level=1)
        return cls(base64.b64encode(out.getvalue()).decode(), picture.width * picture.height)


def _length(text: str) -> int:
    """Bytes of JSON at most."""
    return 6 * len(text)


def _requests(samples: Sequence[Sample]) -> Iterator[_Request]:
    """As many groups in one as the service takes; one that is too large is divided."""
    request = _Request()
    for example, places in zip(*grouped(samples), strict=True):
        source, is_open = _Png.of(example.source), False
        for place, picture in zip(places, example.candidates, strict=True):
            candidate = _Png.of(picture)
            size = len(source.text) + _length(example.instruction) + len(candidate.text)
            if request.items and not request.has_room(size, source.pixels + candidate.pixels):
                yield request
                request, is_open = _Request(), False
            if not is_open:
                request.open(example.instruction, source)
                is_open = True
            request.add(candidate, place)
    if request.items:
        yield request


# Loading --------------------------------------------------------------------------------------------------------------


def load(spec: Mapping[str, Any], _folder: Path) -> ServiceSource:
    """Asks the service once what it is. Raises JobError where it is not there, or serves something else."""
    settings, name = spec["settings"], spec["name"]
    if unknown := sorted(set(settings) - set(KNOWN)):
        raise JobError(f"A scoring service has no setting {', '.join(map(str, unknown))}.")
    seconds = settings.get("seconds", SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= 3600:
        raise JobError(f"The setting “seconds” must be a number from 1 to 3600, not {seconds!r:.50}.")
    if not isinstance(settings.get("endpoint"), str):
        raise JobError("Name the scoring service's endpoint: its short name on the page Endpoints.")
    try:
        service = Service(endpoint_named(settings["endpoint"], CHAT), seconds)
    except EndpointError as error:
        raise JobError(f"The scoring service of “{name}” cannot be used: {error}") from None
    try:
        return _source(name, service, settings)
    except (EndpointError, JobError) as error:
        service.close()
        raise JobError(f"The scoring service of “{name}” cannot be used: {error}") from None


def _source(name: str, service: Service, settings: Mapping[str, Any]) -> ServiceSource:
    """Raises EndpointError and JobError."""
    card = service.ask("GET", "/model")
    try:
        scales = {one["key"]: (float(one["low"]), float(one["high"])) for one in card["dimensions"]}
        low, high = (float(end) for end in card["scale"])
        fingerprint = str(card["fingerprint"])
    except (KeyError, TypeError, ValueError):
        raise JobError("What it says of its model cannot be read: it is no scoring service of this program.") from None
    dimension = settings.get("dimension", OVERALL)
    if dimension not in (OVERALL, *scales):
        raise JobError(f"Its model has no dimension {dimension!r:.100}, only: {', '.join((OVERALL, *scales))}.")
    if settings.get("fingerprint", fingerprint) != fingerprint:
        raise JobError("It serves another model than the one that was chosen.")
    return ServiceSource(name, service, dimension, scales.get(dimension, (low, high)), fingerprint)
