"""Small services of the library: tasks, the hash of settings, the hash of a data set."""

import hashlib
import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from annotation.models import Candidate, Dataset, Editor, Task


def load_tasks() -> int:
    """Make the rows of tasks.json; safe to repeat. Returns how many there are."""
    tasks = json.loads((Path(__file__).parent / "tasks.json").read_text(encoding="utf-8"))
    rows = [Task(position=position, **task) for position, task in enumerate(tasks)]
    fields = ["name", "group", "description", "is_hp_edit", "position"]
    Task.objects.bulk_create(rows, update_conflicts=True, unique_fields=["slug"], update_fields=fields)
    return len(rows)


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that tell one set of settings from another, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def ensure_editor(
    *, slug: str, name: str, module: str = "", settings: dict[str, Any] | None = None, notice: str = ""
) -> Editor:
    """The editor with this slug, made or brought up to date."""
    values = {"name": name, "module": module, "settings": settings or {}, "notice": notice}
    return Editor.objects.update_or_create(slug=slug, defaults=values)[0]


def dataset_hash(dataset: Dataset) -> str:
    """SHA-256 over a data set's content: every case and candidate, images by their hash.

    Rows are sorted by hashes of their own: databases sort text in different ways.
    """
    cases = dataset.cases.values_list(
        "key", "source__sha256", "mask__sha256", "task", "split", "instruction", "instruction_zh", "description",
        "requirement", "params",
    )  # fmt: skip
    candidates = Candidate.objects.filter(case__dataset=dataset).values_list(
        "case__key", "editor__slug", "seed", "settings_hash", "image__sha256"
    )
    rows = chain(cases.iterator(chunk_size=2000), candidates.iterator(chunk_size=2000))
    hashes = sorted(hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest() for row in rows)
    return hashlib.sha256(b"".join(hashes)).hexdigest()
