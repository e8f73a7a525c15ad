"""Small services of the library: tasks, the hash of settings, the content of a data set and its hash."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db.models import Model

from annotation.models import Candidate, Case, Dataset, Editor, Task


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


# The content of a data set ------------------------------------------------------------------------------------------

# Name of a field of the content: where it stands in the database.
CASE = {
    "key": "key",
    "source": "source__sha256",
    "mask": "mask__sha256",
    "task": "task",
    "split": "split",
    "category": "source__source_facts__category",
    "instruction": "instruction",
    "instruction_zh": "instruction_zh",
    "description": "description",
    "requirement": "requirement",
    "params": "params",
    "attribution": "attribution",
    "licence": "licence",
}
CANDIDATE = {
    "editor": "editor__slug",
    "seed": "seed",
    "noise_seed": "noise_seed",
    "settings": "settings",
    "settings_hash": "settings_hash",
    "image": "image__sha256",
    "fault": "fault",
    "fault_note": "fault_note",
    "kept": "fault_kept",
}
JSON = ("params", "settings")
CHUNK = 500  # cases read at once
Values = dict[str, Any]
Group = tuple[Values, list[Values]]  # a case and its candidates


def content(dataset: Dataset) -> Iterator[Group]:
    """Everything that makes a data set what it is, by key: each case with its candidates, images by their hash.

    Sorted here: databases sort text in different ways. Rows that come or go meanwhile may be in it or not.
    """
    keys = sorted(dataset.cases.values_list("key", "pk"))
    for start in range(0, len(keys), CHUNK):
        chunk = [pk for _key, pk in keys[start : start + CHUNK]]
        cases = {row[0]: _named(CASE, row[1:]) for row in _rows(Case, chunk, "pk", CASE)}
        candidates = defaultdict(list)
        for case, *row in _rows(Candidate, chunk, "case", CANDIDATE):
            candidates[case].append(_named(CANDIDATE, row))
        for pk in chunk:
            if pk in cases:
                yield cases[pk], sorted(candidates[pk], key=identity)


def _named(fields: Mapping[str, str], row: Iterable[Any]) -> Values:
    values = dict(zip(fields, row, strict=True))
    return {name: plain(value) if name in JSON else value for name, value in values.items()}


def plain(value: Any) -> Any:
    """JSON whose numbers are written in one way: PostgreSQL keeps 1e16 as 10000000000000000, SQLite as it was."""
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))  # by its digits, as PostgreSQL does: int(1e300) is another number
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def _rows(model: type[Model], keys: list[int], by: str, fields: Mapping[str, str]) -> Iterable[tuple[Any, ...]]:
    return model._default_manager.filter(**{f"{by}__in": keys}).order_by().values_list(by, *fields.values())


def identity(candidate: Values) -> tuple[str, int, str]:
    """What tells a candidate from the others of its case."""
    return candidate["editor"], candidate["seed"], candidate["settings_hash"]


class ContentHash:
    """SHA-256 over the rows of a data set: sorted by hashes of their own, so that their order is no content."""

    def __init__(self) -> None:
        self._digests: list[bytes] = []

    def add(self, group: Group) -> None:
        case, candidates = group
        self._digests.append(_digest(case))
        self._digests += [_digest({"case": case["key"], **candidate}) for candidate in candidates]

    def hexdigest(self) -> str:
        return hashlib.sha256(b"".join(sorted(self._digests))).hexdigest()


def _digest(values: Values) -> bytes:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()


def dataset_hash(dataset: Dataset) -> str:
    """The hash of a data set's content: equal where every case and candidate is, on any database."""
    found = ContentHash()
    for group in content(dataset):
        found.add(group)
    return found.hexdigest()
