"""Editors that a run has made: the LoRA is kept under its hash, and with the base's settings it is an editor like any
other, with a card."""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.models import Editor
from training.editors import LORAS, create_editor, keep_lora
from training.models import TrainedEditor
from training.runs.progress import read_progress
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

LORA = Path("outputs") / "lora" / "pytorch_lora_weights.safetensors"
TRIES = 1000
MOST_SLUG = 80
MOST_NOTICE = 200  # characters, of an editor
KEPT = (
    "rounds",
    "best_round",
    "stopped",
    "looks",
    "cpu_seconds",
    "seconds",
    "images",
    "images_per_second",
    "missing",
    "tasks",
)


def register(*, job: Job, summary: dict[str, Any]) -> TrainedEditor:
    """The editor that a run has made so far; repeats change nothing. Raises JobError where there is no LoRA yet, or its
    base is gone.

    A run whose LoRA was kept on the way, and which then went on to a better one, makes a second editor. The first
    stays as it is, and says where it came from.
    """
    path = job.folder / LORA
    if not path.is_file():
        raise JobError(_("The run has no LoRA in outputs/lora yet: nothing was trained. Look at the log."))
    known = TrainedEditor.objects.filter(job=job).select_related("editor").first()
    if known and file_of(known) == _name_of(path):
        return known
    base = Editor.objects.filter(slug=job.config["base"]).first()
    if base is None:
        raise JobError(_("The base editor was deleted. The LoRA is in the job's folder, outputs/lora."))
    try:
        with path.open("rb") as file:
            name = keep_lora(File(file, name=path.name))
        return _made(job, base, name, summary, known)
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from None


@transaction.atomic
def _made(job: Job, base: Editor, lora: str, summary: dict[str, Any], known: TrainedEditor | None) -> TrainedEditor:
    if known:
        words = _("Kept on the way of the run %(uid)s, which went on.") % {"uid": job.uid}
        TrainedEditor.objects.filter(pk=known.pk).update(job=None, note=words)
    config = job.config
    notice = notice_of(base, config.get("notice", ""))
    editor = create_editor(
        name=free_name(config["name"]),
        module=base.module,
        settings={**base.settings, "lora": {"file": lora}},
    )
    editor.notice = notice if len(notice) <= MOST_NOTICE else f"{notice[: MOST_NOTICE - 1]}…"  # its card has all
    editor.save(update_fields=["notice"])
    made = TrainedEditor(
        editor=editor,
        base=base,
        job=job,
        config=config["config"],
        reward=[
            *({**one, "trained": True} for one in config["rewards"]),
            *({**one, "trained": False} for one in config["held_out"]),
        ],
        data={
            "hash": config["data_hash"], "wanted": config["data"], "names": config.get("names", {}),
            "counts": config.get("counts", {}), "reward": config["reward"], "notice": config.get("notice", ""),
        },
        metrics=metrics_of(job, summary),
        note=config.get("note", ""),
    )  # fmt: skip
    made.full_clean()
    made.save()
    return made


def notice_of(base: Editor, of_run: str) -> str:
    """What is to be said of the editor: of who judged first, then of the data and the base."""
    return " ".join(dict.fromkeys(words for words in (of_run, base.notice) if words))


def metrics_of(job: Job, summary: dict[str, Any]) -> dict[str, Any]:
    """What the job says at its end; of a run that was kept on the way, what its events say so far."""
    told = {name: summary[name] for name in KEPT if name in summary}
    if "looks" in told:
        return told
    progress = read_progress(job.folder)
    rounds = (progress.last or {}).get("round", 0)
    found = {"rounds": rounds, "stopped": _("kept by a person on the way"), **told, "looks": {}}
    if last := progress.latest:
        kept = last.get("best_round")  # the file is of that round, which need not be the last one
        best = next((row for row in progress.looks if row["round"] == kept), None)
        found["looks"] = {"last": last, **({"best": best} if best else {})}
        found |= {"best_round": kept} if best else {}
    return found


def free_name(name: str) -> str:
    """The name, or with the next number that no editor has: a clone of a run makes another editor."""
    short = name[:115]
    while len(slugify(short)) > MOST_SLUG - len(f"-{TRIES}"):
        short = short[:-1]  # the number must be within the short name, or it tells nothing apart
    for number in range(1, TRIES):
        wanted = name if number == 1 else f"{short} {number}"
        if not Editor.objects.filter(slug=slugify(wanted)[:MOST_SLUG].strip("-_")).exists():
            return wanted
    raise ValidationError(_("There are too many editors of this name."))


def _name_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"{LORAS}/{file_digest(file, 'sha256').hexdigest()}.safetensors"


def file_of(trained: TrainedEditor) -> str:
    """The LoRA's name in the storage."""
    return str((trained.editor.settings.get("lora") or {}).get("file", ""))


def is_there(trained: TrainedEditor) -> bool:
    return bool(file_of(trained)) and default_storage.exists(file_of(trained))


@transaction.atomic
def set_note(*, trained: TrainedEditor, note: str) -> TrainedEditor:
    trained.note = note.strip()
    trained.full_clean()
    trained.save(update_fields=["note"])
    return trained
