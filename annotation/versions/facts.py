"""The figures of a version's card, gathered in one pass over its rows."""

from collections import Counter, defaultdict
from statistics import median
from typing import Any

from annotation import lineage
from annotation.library import Group, Values
from annotation.models import Dataset, Editor

MOST_SETTINGS = 5  # kinds of settings that the card shows of an editor


def usable(candidate: Values) -> bool:
    """Whether training may use it: no output check set it aside, or a person has kept it."""
    return not candidate["fault"] or candidate["kept"] is True


class Facts:
    """What ``see`` is shown, counted."""

    def __init__(self) -> None:
        self.tasks: dict[str, Counter[str]] = defaultdict(Counter)
        self.categories: Counter[str] = Counter()
        self.licences: Counter[str] = Counter()
        self.attributions: set[str] = set()
        self.sources: set[str] = set()
        self.sizes: list[int] = []
        self.usable = self.unreviewed = self.masks = 0
        self.editors: dict[str, _Made] = defaultdict(_Made)

    def see(self, group: Group) -> None:
        case, candidates = group
        self.tasks[case["task"]][case["split"]] += 1
        self.categories[case["category"] or ""] += 1
        self.licences[case["licence"]] += 1
        self.sources.add(case["source"])
        self.masks += case["mask"] is not None
        if case["attribution"]:
            self.attributions.add(case["attribution"])
        self.sizes.append(len(candidates))
        for candidate in candidates:
            self.usable += usable(candidate)
            self.unreviewed += bool(candidate["fault"]) and candidate["kept"] is None
            self.editors[candidate["editor"]].see(candidate)

    def to_json(self, dataset: Dataset) -> dict[str, Any]:
        """All figures, with what is said of the data set and its editors now: the card never changes after."""
        rows = Editor.objects.in_bulk(list(self.editors), field_name="slug")
        return {
            **_about(dataset),
            "tasks": {task: dict(sorted(self.tasks[task].items())) for task in sorted(self.tasks)},
            "categories": dict(sorted(self.categories.items())),
            "licences": dict(sorted(self.licences.items())),
            "attributions": len(self.attributions),
            "sources": len(self.sources),
            "masks": self.masks,
            "usable": self.usable,
            "unreviewed": self.unreviewed,
            "group": {
                "smallest": min(self.sizes, default=0),
                "median": median(self.sizes) if self.sizes else 0,
                "largest": max(self.sizes, default=0),
                "without": self.sizes.count(0),
            },
            "editors": {slug: self.editors[slug].to_json(rows.get(slug)) for slug in sorted(self.editors)},
        }


class _Made:
    """What one editor made."""

    def __init__(self) -> None:
        self.made = self.kept = 0
        self.aside: Counter[str] = Counter()
        self.settings: dict[str, list[Any]] = {}  # hash: [settings, candidates]

    def see(self, candidate: Values) -> None:
        self.made += 1
        if candidate["fault"] and usable(candidate):
            self.kept += 1
        elif candidate["fault"]:
            self.aside[candidate["fault"]] += 1
        self.settings.setdefault(candidate["settings_hash"], [candidate["settings"], 0])[1] += 1

    def to_json(self, editor: Editor | None) -> dict[str, Any]:
        common = sorted(self.settings.values(), key=lambda row: (-row[1], repr(row[0])))
        return {
            "name": editor.name if editor else "",
            "notice": editor.notice if editor else "",
            "module": editor.module if editor else "",
            "made": self.made,
            "kept": self.kept,
            "aside": dict(sorted(self.aside.items())),
            "settings": common[:MOST_SETTINGS],
            "kinds_of_settings": len(common),
        }


def _about(dataset: Dataset) -> dict[str, Any]:
    parent = dataset.derived_from
    return {
        "name": dataset.name,
        "slug": dataset.slug,
        "description": dataset.description,
        "notice": dataset.notice,
        "derived_from": f"{parent.name} ({parent.uid})" if parent else "",
        "recipe": dataset.recipe,
        "jobs": [f"{job.title} ({job.created_at:%Y-%m-%d})" for job in lineage.jobs_of(dataset)],
    }
