"""Editors: made with settings that never change, copied to be changed, deleted while nothing was made with them."""

from __future__ import annotations

import re
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.inputs import CHUNK, local_path
from annotation.models import Editor
from training.gpu.editors import EditorError, check_settings
from training.gpu.tensors import WrongTensors, read_header
from training.models import EditorBenchmark
from training.programs import program
from webapp.jobs.models import ACTIVE, RESUMABLE, Job

LORAS = "loras"
LORA_NAME = re.compile(rf"{LORAS}/[0-9a-f]{{64}}\.safetensors")
MOST_LORA = 2 * 1024**3


@transaction.atomic
def create_editor(*, name: str, module: str, settings: dict[str, Any]) -> Editor:
    """Raises ValidationError for settings that the module refuses, and for a name that is taken."""
    found = program(module)
    if found is None:
        raise ValidationError(_("There is no editor program “%(module)s”.") % {"module": module})
    try:
        check_settings(module, settings)
    except EditorError as error:
        raise ValidationError(str(error)) from None
    slug = slugify(name)[:80].strip("-_")
    if not slug:
        raise ValidationError({"name": _("Use at least one Latin letter or digit.")})
    if Editor.objects.filter(slug=slug).exists():
        raise ValidationError({"name": _("There is an editor of this name already.")})
    editor = Editor(slug=slug, name=name, module=module, settings=settings, notice=str(found.notice))
    editor.full_clean()
    editor.save()
    return editor


@transaction.atomic
def delete_editor(*, editor: Editor) -> None:
    """Raises ValidationError where candidates were made with it, or a job that is not done will use it."""
    if editor.candidates.exists() or editor.unmade.exists():
        raise ValidationError(_("Candidates were made with this editor. It stays, so that it is known what made them."))
    if EditorBenchmark.objects.filter(editors=editor).exists():
        raise ValidationError(_("This editor takes part in a benchmark of editors. Take it out there first."))
    jobs = Job.objects.filter(kind__in=("generate", "posttrain"), state__in=(*ACTIVE, *RESUMABLE), parent=None)
    configs = list(jobs.values_list("config", flat=True))
    if any(editor.slug in config.get("editors", []) or config.get("base") == editor.slug for config in configs):
        raise ValidationError(_("A job that is not done yet, or can be resumed, uses this editor."))
    try:
        editor.delete()
    except ProtectedError:
        words = _("This editor is in use: an editor was trained from it, or a blind study compares it.")
        raise ValidationError(words) from None


# LoRA files ----------------------------------------------------------------------------------------------------------


def keep_lora(upload: File[bytes]) -> str:
    """Keep a LoRA under the hash of its content; returns its name in the storage. Raises ValidationError.

    Only its header is read here. Whether it fits a model, the job says when it puts it on.
    """
    if (upload.size or 0) > MOST_LORA:
        raise ValidationError(_("The LoRA is larger than 2 GB."))
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "lora.safetensors"
        with copy.open("wb") as file:
            for chunk in upload.chunks(CHUNK):
                file.write(chunk)
        _check_lora(copy)
        with copy.open("rb") as file:
            name = f"{LORAS}/{file_digest(file, 'sha256').hexdigest()}.safetensors"
            if default_storage.exists(name) and default_storage.size(name) != copy.stat().st_size:
                default_storage.delete(name)  # a process died while it was written
            if not default_storage.exists(name):
                default_storage.save(name, File(file))
    return name


def _check_lora(path: Path) -> None:
    try:
        names = list(read_header(path).tensors)
    except WrongTensors as error:
        message = _("The LoRA is not a readable safetensors file: %(reason)s.")
        raise ValidationError(message % {"reason": error}) from None
    if not any("lora" in name.lower() for name in names):
        message = _("The file has %(count)d tensors and none of them is a layer of a LoRA.")
        raise ValidationError(message % {"count": len(names)})


def is_kept_lora(name: str) -> bool:
    return bool(LORA_NAME.fullmatch(name)) and default_storage.exists(name)


def local_program(editor: Editor, folder: Path) -> dict[str, Any]:
    """Module and settings as the program that makes images takes them: a kept LoRA by a path on this machine."""
    settings = dict(editor.settings)
    lora = settings.get("lora")
    if isinstance(lora, dict) and LORA_NAME.fullmatch(str(lora.get("file"))):
        settings["lora"] = {**lora, "file": local_path(lora["file"], folder)}
    return {"module": editor.module, "settings": settings}
