"""Edits by a service: any endpoint that speaks OpenAI's images/edits form.

Settings: {"endpoint": slug of an endpoint that an admin has set up}, and what may stand beside it: {"model": another
one than the endpoint's}, {"mask": true: send the case's mask}, {"size": "source", "auto" or WIDTHxHEIGHT}, and what
PARAMETERS lists. The key of the endpoint comes by the environment (webapp/endpoints/http.py), never by a file.

Services take no seed: a candidate's seed tells it from the others of its group and cannot bring it back. Each image
says so ("seed_honoured": false). Services answer in sizes of their own: the image is scaled to the source's size, and
both sizes are kept with it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from PIL import Image

from training.gpu.editors import CannotEdit, EditCase, EditedImage, EditorError
from webapp.endpoints.errors import EndpointError
from webapp.endpoints.http import IMAGES, Client, endpoint_named
from webapp.jobs.folder import JobError

PARAMETERS = ("quality", "background", "input_fidelity", "moderation", "output_format")
SIZE = re.compile(r"source|auto|[1-9]\d{1,4}x[1-9]\d{1,4}")
WORD = re.compile(r"[a-z0-9_-]{1,40}")
FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 64_000_000

Outcome = EditedImage | CannotEdit


class OpenAIImagesEditor:
    """One endpoint with one set of settings. As many images at once as the endpoint allows."""

    def __init__(self, client: Client, settings: Mapping[str, Any]) -> None:
        self.client, self.settings = client, settings
        self.batch = client.endpoint.concurrency
        self._kept: dict[str, Outcome] = {}

    def edit(self, case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        return self.edit_many([case] * len(seeds), seeds)

    def edit_many(self, cases: Sequence[EditCase], seeds: Sequence[int]) -> list[EditedImage]:
        """One image for each pair. Raises CannotEdit with the service's reason for the first that was not made; what
        the others cost is not lost: asked for again, they are given without another request. Raises JobError where the
        next request would fail in the same way (key, model, address, quota)."""
        pairs = list(zip(cases, seeds, strict=True))
        with ThreadPoolExecutor(self.batch) as threads:
            outcomes = list(threads.map(self._outcome, pairs))
        made = [outcome for outcome in outcomes if isinstance(outcome, EditedImage)]
        if len(made) == len(pairs):
            return made
        if len(pairs) > 1:
            self._kept = {_name(*pair): outcome for pair, outcome in zip(pairs, outcomes, strict=True)}
        raise next(outcome for outcome in outcomes if isinstance(outcome, CannotEdit))

    def _outcome(self, pair: tuple[EditCase, int]) -> Outcome:
        known = self._kept.pop(_name(*pair), None)
        if known is not None:
            return known
        try:
            return self._edit(*pair)
        except CannotEdit as error:
            return error

    def _edit(self, case: EditCase, seed: int) -> EditedImage:
        if not isinstance(case.instruction, str) or not case.instruction.strip():
            raise CannotEdit("The case has no instruction, and this editor edits by instruction.")
        source = case.source.convert("RGB")
        size = self.settings.get("size")
        sent = {name: self.settings[name] for name in PARAMETERS if name in self.settings}
        if size:
            sent["size"] = f"{source.width}x{source.height}" if size == "source" else size
        mask = _png(_transparent(case.mask)) if case.mask is not None and self.settings.get("mask") else None
        try:
            answer = self.client.edit_image(
                image=_png(source), prompt=case.instruction.strip(), mask=mask, parameters=sent
            )
        except EndpointError as error:
            if error.fatal:
                raise JobError(str(error)) from None
            raise CannotEdit(str(error)) from None
        image = _open(answer.images[0])
        about = {
            **self.settings,
            "model": answer.model,
            "seed_honoured": False,
            "mask_sent": mask is not None,
            "source_size": list(source.size),
            "answer_size": list(image.size),
            "cost": answer.cost,
        }
        if image.size != source.size:
            image = image.resize(source.size, Image.Resampling.LANCZOS)
        return EditedImage(image, seed, None, about, answer.seconds)


def _name(case: EditCase, seed: int) -> str:
    """What tells one wanted image from another."""
    words = repr((case.key, case.instruction, case.task, seed, case.source.size)).encode()
    return hashlib.sha256(words + case.source.tobytes()).hexdigest()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _transparent(mask: Image.Image) -> Image.Image:
    """Ours is white where the edit may change pixels; the service wants these places transparent."""
    alpha = mask.convert("L").point(lambda value: 255 - value)
    opaque = Image.new("L", mask.size, 255)
    return Image.merge("RGBA", (opaque, opaque, opaque, alpha))


def _open(data: bytes) -> Image.Image:
    """The service's image; its bytes are as hostile as an upload's."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise CannotEdit(f"The service sent an image of {image.width} x {image.height} pixels: too many.")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CannotEdit(f"The service sent an image that cannot be read: {error}.") from None


def check(settings: Mapping[str, Any]) -> None:
    """Raises EditorError for settings that do not exist, and values that are not allowed."""
    if unknown := set(settings) - {"endpoint", "model", "mask", "size", *PARAMETERS}:
        names = ", ".join(("endpoint", "model", "mask", "size", *PARAMETERS))
        raise EditorError(f"Unknown settings: {', '.join(sorted(unknown))}. There are: {names}.")
    slug, model = settings.get("endpoint"), settings.get("model")
    if not isinstance(slug, str) or not slug:
        raise EditorError("Name the endpoint in the setting “endpoint”: its short name on the page Endpoints.")
    if model is not None and not (isinstance(model, str) and 0 < len(model) <= 200):
        raise EditorError("The setting “model” must be a model's name, or be left out for the endpoint's own.")
    if not isinstance(settings.get("mask", False), bool):
        raise EditorError("The setting “mask” must be true or false.")
    if not SIZE.fullmatch(str(settings.get("size", "auto"))):
        raise EditorError("The setting “size” must be source, auto, or like 1024x1024.")
    for name in PARAMETERS:
        if name in settings and not WORD.fullmatch(str(settings[name])):
            raise EditorError(f"The setting “{name}” must be one word, such as high.")


def load(settings: Mapping[str, Any]) -> OpenAIImagesEditor:
    """Raises EditorError as ``check``, and for an endpoint that this job was not given."""
    check(settings)
    model = settings.get("model")
    try:
        endpoint = endpoint_named(settings["endpoint"], IMAGES)
    except EndpointError as error:
        raise EditorError(str(error)) from None
    return OpenAIImagesEditor(Client(replace(endpoint, model=model or endpoint.model)), dict(settings))
