"""The data card of a version, in Markdown: what it is, where it comes from, how it was made, what is missing.

Written from the version's facts alone, so that it says the same for ever. It holds text that people wrote, which is
escaped: a page shows the card as HTML, and a table must stay one.
"""

import json
import re
from typing import Any

from annotation.models import Category, DatasetVersion, Fault, Split, Task

# Licences as people write them, by the names that the Hugging Face hub knows them by.
LICENCES = {
    "cc0": "cc0-1.0", "cc0 1.0": "cc0-1.0", "cc by 4.0": "cc-by-4.0", "cc by-sa 4.0": "cc-by-sa-4.0",
    "cc by-nc 4.0": "cc-by-nc-4.0", "cc by 3.0": "cc-by-3.0", "cc by-sa 3.0": "cc-by-sa-3.0", "cc by 2.0": "cc-by-2.0",
    "mit": "mit", "apache-2.0": "apache-2.0",
}  # fmt: skip
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    return MARKUP.sub(r"\\\1", " ".join(text.split()))


def card(version: DatasetVersion) -> str:
    """The card without its title, for the version's page and the exports."""
    facts = version.facts
    parts = [
        _summary(version, facts),
        _counts(version, facts),
        _editors(facts),
        _sources(facts),
        _making(version, facts),
        _gaps(version, facts),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _summary(version: DatasetVersion, facts: dict[str, Any]) -> list[str]:
    lines = [f"**{escaped(facts['notice'])}**", ""] if facts["notice"] else []
    lines += [escaped(facts["description"]), ""] if facts["description"] else []
    lines.append(
        f"Version {version.number}: {version.cases:,} cases over {facts['sources']:,} source images, with "
        f"{version.candidates:,} candidates. A case is a source image with an edit instruction and a task; a candidate "
        "is an edited image that an editor made for it."
    )
    lines += ["", f"- Content, SHA-256: `{version.content_hash}`"]
    return [*lines, f"- Note: {escaped(version.note)}"] if version.note else lines


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _table(*rows: list[Any]) -> list[str]:
    head, *body = [[str(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def _counts(version: DatasetVersion, facts: dict[str, Any]) -> list[str]:
    names = dict(Task.objects.filter(pk__in=facts["tasks"]).values_list("pk", "name"))
    splits = [split for split in Split.values if any(split in row for row in facts["tasks"].values())]
    rows = [
        [escaped(names.get(task, task)), *[f"{row.get(split, 0):,}" for split in splits], f"{sum(row.values()):,}"]
        for task, row in facts["tasks"].items()
    ]
    totals = [sum(row.get(split, 0) for row in facts["tasks"].values()) for split in splits]
    rows.append(["all", *[f"{total:,}" for total in totals], f"{version.cases:,}"])
    group = facts["group"]
    return [
        "## Cases",
        "",
        *_table(["task", *splits, "all"], *rows),
        "",
        f"Candidates of a case: {group['smallest']} to {group['largest']}, median {group['median']:g}. "
        f"{facts['masks']:,} cases have a mask.",
    ]


def _editors(facts: dict[str, Any]) -> list[str]:
    lines = ["## Editors", ""]
    if not facts["editors"]:
        return [*lines, "There are no candidates."]
    labels = {value: str(label) for value, label in Fault.choices}
    rows = []
    for slug, row in facts["editors"].items():
        reasons = ", ".join(f"{labels.get(fault, fault)} {count:,}" for fault, count in row["aside"].items())
        aside = f"{sum(row['aside'].values()):,}" + (f" ({escaped(reasons)})" if reasons else "")
        module = escaped(row["module"]) or "made elsewhere"
        words = [escaped(slug), escaped(row["name"]), module, f"{row['made']:,}", aside, f"{row['kept']:,}"]
        rows.append([*words, escaped(row["notice"])])
    head = ["editor", "name", "program", "made", "set aside", "kept by a person", "notice"]
    lines += _table(head, *rows)
    for slug, row in facts["editors"].items():
        lines += ["", f"Settings of {escaped(slug)}:", ""]
        for settings, made in row["settings"]:
            text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
            lines.append(f"- {escaped(text) if settings else 'none recorded'}: {_many(made, 'candidate')}")
        if (more := row["kinds_of_settings"] - len(row["settings"])) > 0:
            lines.append(f"- {_many(more, 'more kind')} of settings; the rows have them all")
    return lines


def _sources(facts: dict[str, Any]) -> list[str]:
    rows = [[escaped(licence) or "not stated", f"{count:,}"] for licence, count in facts["licences"].items()]
    return [
        "## Sources and licences",
        "",
        *_table(["licence", "cases"], *rows),
        "",
        f"{_many(facts['attributions'], 'different note')} on the pictures' authors: each row has its own, in the "
        "column attribution, which must go with the picture.",
    ]


def _making(version: DatasetVersion, facts: dict[str, Any]) -> list[str]:
    lines = ["## How it was made", "", f"- Frozen with Editloop from the data set {escaped(facts['slug'])}."]
    if facts["derived_from"]:
        recipe = json.dumps(facts["recipe"], sort_keys=True, ensure_ascii=False)
        lines += [f"- Drawn from {escaped(facts['derived_from'])}.", f"- Recipe: {escaped(recipe)}"]
    lines += [f"- {escaped(title)}" for title in facts["jobs"]]
    if changes := facts["changes"]:
        for name in ("cases", "candidates"):
            row = changes[name]
            lines.append(
                f"- Since version {changes['since']}, {name}: {row['added']:,} added, {row['removed']:,} removed, "
                f"{row['changed']:,} changed."
            )
    return lines


def _gaps(version: DatasetVersion, facts: dict[str, Any]) -> list[str]:
    """What whoever uses the data must know is missing; each line from a count."""
    eight = dict(Task.objects.filter(is_hp_edit=True).values_list("pk", "name"))
    absent = ", ".join(name for task, name in eight.items() if task not in facts["tasks"])
    uncategorised = facts["categories"].get("", 0)
    kinds = len(facts["categories"]) - ("" in facts["categories"])
    known = Category.objects.count()
    found = [
        (bool(absent), f"No cases of these tasks: {absent}."),
        (uncategorised > 0, f"{uncategorised:,} of {version.cases:,} cases have no category."),
        (kinds < known, f"{kinds} of {known} categories occur."),
        (facts["group"]["without"] > 0, f"{facts['group']['without']:,} cases have no candidate."),
        (facts["licences"].get("", 0) > 0, f"{facts['licences'].get('', 0):,} cases name no licence."),
        (
            version.candidates > facts["usable"],
            f"{version.candidates - facts['usable']:,} candidates are set aside by the output checks; nobody has "
            f"looked at {facts['unreviewed']:,} of them.",
        ),
        (True, "People's judgements are no part of it; a study's own export has them."),
    ]
    return ["## Known gaps", "", *[f"- {sentence}" for applies, sentence in found if applies]]


# For the Hugging Face hub -------------------------------------------------------------------------------------------


def front_matter(version: DatasetVersion, more: list[str]) -> str:
    """The YAML at the top of a README, as the hub reads it. ``more``: further lines, such as configs."""
    facts = version.facts
    name = json.dumps(f"{facts['name']}, version {version.number}", ensure_ascii=False)  # JSON strings are YAML strings
    size = next((word for most, word in SIZES if version.cases < most), "1M<n<10M")
    lines = [f"pretty_name: {name}", f"license: {_licence(facts)}", "task_categories:", "- image-to-image"]
    lines += ["size_categories:", f"- {size}", "tags:", "- image-editing", *more]
    return "\n".join(["---", *lines, "---", ""])


def _licence(facts: dict[str, Any]) -> str:
    """The one licence of all pictures where the hub has a name for it, else "other"; "unknown" where none is stated."""
    stated = {LICENCES.get(licence.strip().lower().replace("cc-by", "cc by"), "other") for licence in facts["licences"]}
    if set(facts["licences"]) <= {""}:
        return "unknown"
    return stated.pop() if len(stated) == 1 else "other"
