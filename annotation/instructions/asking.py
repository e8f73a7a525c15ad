"""One request for instructions, as a thread makes it: without the database."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from annotation.instructions.replies import Reply, Unreadable, read_reply
from annotation.models import StoredImage
from webapp.endpoints.http import Client, user_message

SIDE = 1024  # pixels of the longer side that is sent
SMALL = 256  # up to here a picture is sent exactly


@dataclass(frozen=True, slots=True)
class Pair:
    """A source image and a task that lack ``wanted`` instructions."""

    source: int
    task: str
    wanted: int


@dataclass(frozen=True, slots=True)
class Answer:
    reply: Reply
    model: str
    cost: float | None


class NoUse(Exception):
    """There is no usable answer. ``was_asked``: it came and cost something (None: unknown), but cannot be used."""

    def __init__(self, kind: str, sentence: str, *, cost: float | None = None, was_asked: bool = True) -> None:
        super().__init__(sentence)
        self.kind, self.cost, self.was_asked = kind, cost, was_asked


def ask(client: Client, image: StoredImage, text: str, pair: Pair, earlier: list[str]) -> Answer:
    """Raises EndpointError and NoUse; JobStopped where the job is asked to stop while it waits for a second try."""
    answer = client.chat([user_message(text, [picture(image)])], as_json=True)
    if answer.finish == "length":
        raise NoUse("cut off", "The answer was cut off at the service's length limit.", cost=answer.cost)
    try:
        reply = read_reply(answer.text, most=pair.wanted, earlier=earlier)
    except Unreadable as error:
        raise NoUse("unreadable", str(error), cost=answer.cost) from None
    return Answer(reply, answer.model, answer.cost)


def picture(image: StoredImage) -> tuple[bytes, str]:
    """What a model is shown of a source image: its viewing copy, so without metadata, in a format that all services
    read. Small pictures stay exact (PNG), others become JPEG. Raises NoUse where the file is gone or damaged.
    """
    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(image.read_view()), formats=["WEBP"]) as view:
            shown = view.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        raise NoUse("picture", f"The picture {image.view} cannot be read.", was_asked=False) from None
    shown.thumbnail((SIDE, SIDE))
    if max(shown.size) <= SMALL:
        shown.save(out, "PNG")
        return out.getvalue(), "image/png"
    shown.save(out, "JPEG", quality=90)
    return out.getvalue(), "image/jpeg"
