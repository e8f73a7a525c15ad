"""Edits by a service: any endpoint that speaks OpenAI's images/edits form.

Settings: {"endpoint": slug of an endpoint that an admin has set up}, and what may stand beside it: {"model": another
one than the endpoint's}, {"mask": true: send the case's mask}, {"size": "source", "auto" or WIDTHxHEIGHT}, and what
PARAMETERS lists. The key of the endpoint comes by the environment (webapp/endpoints/http.py), never by a file.

Services take no seed: a candidate's seed tells it from the others of its group and cannot bring it back. Each image
says so ("seed_honoured": false). Services answer in sizes of their own: the image is scaled to the source's size, and
both sizes are kept with it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from PIL import Image

from annotation.importing.images import decode
from annotation.importing.problems import ImportProblem
from training.gpu.editors import CannotEdit, EditCase, EditedImage, EditorError, EditorFailed
from webapp.endpoints.errors import BadRequest, EndpointError, Refused
from webapp.endpoints.http import IMAGES, Client, EndpointConfig, endpoint_named
from webapp.jobs.folder import JobError, JobStopped

PARAMETERS = ("quality", "background", "input_fidelity", "moderation", "output_format")
SIZE = re.compile(r"source|auto|[1-9]\d{1,4}x[1-9]\d{1,4}")
WORD = re.compile(r"[a-z0-9_-]{1,40}")


class OpenAIImagesEditor:
    """One endpoint with one set of settings. As many images at once as the endpoint allows."""

    def __init__(self, endpoint: EndpointConfig, settings: Mapping[str, Any]) -> None:
        self.settings, self.threads = settings, endpoint.concurrency
        self._stopped = Event()
        self.client = Client(endpoint, wait=self._wait)

    def stop(self) -> None:
        """Pauses between tries end, and their images are not made; requests under way go on."""
        self._stopped.set()

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise JobStopped

    def edit(self, case: EditCase, seeds: Sequence[int]) -> list[EditedImage]:
        """One image a seed. Raises CannotEdit and EditorFailed with the service's reason; JobError where the next
        request would fail in the same way (key, model, address, quota); JobStopped after ``stop``."""
        return [self._edit(case, seed) for seed in seeds]

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
            raise _told(error) from None
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


def _told(error: EndpointError) -> Exception:
    if error.fatal:
        return JobError(str(error))
    return CannotEdit(str(error)) if isinstance(error, Refused | BadRequest) else EditorFailed(str(error))


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
        return decode(data)
    except ImportProblem as problem:
        raise EditorFailed(f"The service sent an image that cannot be read: {problem}") from None


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
    return OpenAIImagesEditor(replace(endpoint, model=model or endpoint.model), dict(settings))
