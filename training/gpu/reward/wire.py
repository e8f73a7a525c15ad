"""The JSON of the scoring service: a request as examples, with limits on all that a stranger can make large."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PIL import Image

from annotation.importing.images import decode
from annotation.importing.limits import DEFAULT_LIMITS
from annotation.importing.problems import ImportProblem
from training.gpu.reward.network import Example

MOST_BYTES = 32 * 1024 * 1024  # of a request
MOST_PIXELS = 32_000_000  # of all pictures of a request: a small file can hold a large picture
LIMITS = replace(DEFAULT_LIMITS, max_pixels=MOST_PIXELS)
MOST_ITEMS, MOST_CANDIDATES = 64, 256  # of a request, all items together
MOST_WORDS = 4000  # characters of an instruction
MAGIC = "data:"


class Refusal(Exception):
    """A request that is not answered. ``status`` of HTTP; the message is for whoever sent it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_request(body: bytes) -> list[Example]:
    """The items of a request, pictures decoded. Raises Refusal: 400 where it is no JSON object, 413 where it is too
    much, 422 for a field or a picture that cannot be used."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not JSON.") from None
    items = given.get("items") if isinstance(given, dict) else None
    if not isinstance(items, list) or not items:
        raise Refusal(400, 'The body must be an object {"items": [...]} with at least one item.')
    if len(items) > MOST_ITEMS:
        raise Refusal(413, f"There are {len(items)} items. {MOST_ITEMS} are the most in one request.")
    counts = [len(item["candidates"]) for item in items if isinstance(item, dict) and _is_list(item)]
    if sum(counts) > MOST_CANDIDATES:
        raise Refusal(413, f"There are {sum(counts)} candidates. {MOST_CANDIDATES} are the most in one request.")
    pixels = Pixels()
    return [_example(item, f"items[{place}]", pixels) for place, item in enumerate(items)]


class Pixels:
    """Counts the pixels of a request. Raises Refusal where they are too many."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, picture: Image.Image) -> Image.Image:
        self.count += picture.width * picture.height
        if self.count > MOST_PIXELS:
            raise Refusal(413, f"The pictures have more than {MOST_PIXELS // 10**6} megapixels together.")
        return picture


def _is_list(item: Mapping[str, Any]) -> bool:
    return isinstance(item.get("candidates"), list)


def _example(item: Any, where: str, pixels: Pixels) -> Example:
    if not isinstance(item, dict):
        raise Refusal(422, f"{where} must be an object with instruction, source and candidates.")
    instruction, candidates = item.get("instruction"), item.get("candidates")
    if not isinstance(instruction, str) or not instruction.strip():
        raise Refusal(422, f"{where}.instruction must be a text.")
    if len(instruction) > MOST_WORDS:
        words = f"{where}.instruction has {len(instruction)} characters. {MOST_WORDS} are the most."
        raise Refusal(422, words)
    if not is_whole(instruction):
        raise Refusal(422, f"{where}.instruction has half a character (a lone surrogate): send it as UTF-8.")
    if not isinstance(candidates, list) or not candidates:
        raise Refusal(422, f"{where}.candidates must be a list of pictures, at least one.")
    source = pixels.add(_picture(item.get("source"), f"{where}.source"))
    pictures = [pixels.add(_picture(one, f"{where}.candidates[{place}]")) for place, one in enumerate(candidates)]
    return Example(where, instruction, source, tuple(pictures))


def is_whole(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON can name half a character, of which no tokenizer knows what to make."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _picture(value: Any, where: str) -> Image.Image:
    """A picture from base64 or a data URL. Nothing is fetched, whatever it looks like."""
    if not isinstance(value, str) or not value:
        raise Refusal(422, f"{where} must be a picture in base64, or a data URL of one.")
    if value[:8].lower().startswith(("http:", "https:", "file:", "ftp:")):
        raise Refusal(422, f"{where} is an address. Nothing is fetched from addresses: send the picture itself.")
    if value.startswith(MAGIC):
        head, _comma, value = value.partition(",")
        if not head.endswith(";base64"):
            raise Refusal(422, f"{where} is a data URL without base64.")
    try:
        return decode(base64.b64decode(value, validate=True), LIMITS)
    except (binascii.Error, ValueError):
        raise Refusal(422, f"{where} is not base64.") from None
    except ImportProblem as problem:
        raise Refusal(422, f"{where} cannot be read: {problem}") from None
