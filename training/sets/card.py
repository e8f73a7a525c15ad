"""The card of a training set, in Markdown: what it is, what people said, what was left out. From its row alone."""

from __future__ import annotations

import tempfile
import zipfile
from typing import IO, Any

from django.core.files.storage import default_storage
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.versions.archive import EPOCH
from annotation.versions.card import escaped
from training.models import LabelledSet
from training.rewards.groups import SPLITS
from webapp.jobs.folder import JobError

BLOCK = 1 << 20
REASONS = {
    "alone": gettext_lazy("Cases with fewer than two usable candidates that have a label"),
    "both_bad": gettext_lazy("Verdicts “both bad”, dropped by choice"),
    "contested": gettext_lazy("Rankings of contested groups, left out by choice (one for each dimension)"),
    "excused": gettext_lazy("Judgements that a flag excuses (broken, unsafe, cannot judge)"),
    "flagged": gettext_lazy("Candidates that half or more of their annotators flagged as unusable"),
    "moved": gettext_lazy("Source images that the files have in two splits: they are in the stricter one"),
    "set_aside": gettext_lazy("Candidates that the output checks set aside"),
    "unscored": gettext_lazy("Candidates whose ratings give no score by this method"),
}


def card(found: LabelledSet) -> str:
    """The card without its title."""
    facts = found.facts
    lines = [f"**{escaped(found.notice)}**", ""] if found.notice else []
    lines += [
        f"{found.groups:,} groups with {found.candidates:,} candidates. A group is a source image with an instruction "
        "and the edits that people compared or scored.",
        "",
        f"- Content, SHA-256: `{found.content_hash}`",
        f"- Made: {found.created_at:%Y-%m-%d}, {_origin(found)}",
    ]
    parts = [lines, _splits(found), _dimensions(found), _people(facts), _left_out(facts), _makers(facts)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _origin(found: LabelledSet) -> str:
    if found.origin["kind"] != "studies":
        return f"imported, layout {escaped(found.facts['layout'])}."
    wish = found.origin["wish"]
    names = ", ".join(f"{escaped(one['name'])} ({escaped(one['preset'])})" for one in found.facts["studies"])
    both = "dropped" if wish["both_bad"] == "drop" else "a tie"
    return (
        f"from {names}. Opinion scores: method {wish['method']}, on people's scale. Contested groups: "
        f"{'kept' if wish['contested'] else 'left out'}. Both bad: {both}. Seed of the splits: {wish['seed']}."
    )


def _table(*rows: list[str]) -> list[str]:
    head, *body = rows
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def _splits(found: LabelledSet) -> list[str]:
    facts = found.facts
    rows = [[split, f"{facts['splits'][split]:,}", f"{facts['sources'][split]:,}"] for split in SPLITS]
    about = "By source image: no picture is in two splits. What its data set held out is not in the train part."
    about += f" {_look_alikes(found)}"
    return ["## Splits", "", *_table(["split", "groups", "source images"], *rows), "", about]


def _look_alikes(found: LabelledSet) -> str:
    if found.origin["kind"] != "studies":
        return "Only identical files of a source image were tied: pictures that look alike may be in two splits."
    if not found.origin["wish"]["near"]:
        return "By choice, pictures that look alike were not tied: they may be in two splits."
    known = "Pictures that look alike are in one split, as far as they have a perceptual hash"
    unhashed = found.facts.get("unhashed")
    return f"{known}." if unhashed is None else f"{known}; {unhashed:,} source images had no perceptual hash."


def _dimensions(found: LabelledSet) -> list[str]:
    head = ["dimension", "scale", *(f"pairs, {split}" for split in SPLITS), "ties", "rejected", "scores"]
    rows = []
    for one in found.dimensions:
        facts = found.facts["dimensions"][one["key"]]
        scale = f"{one['low']:g} to {one['high']:g}"
        pairs = [f"{facts['pairs'][split]:,}" for split in SPLITS]
        rest = [f"{sum(facts['ties'].values()):,}", f"{facts['excluded']:,}", f"{facts['scored']:,}"]
        rows.append([f"{escaped(one['label'])} ({escaped(one['key'])})", scale, *pairs, *rest])
    about = "Rejected: pairs that ranks and opinion scores contradict. They are in the file, and no loss counts them."
    return ["## Dimensions", "", *_table(head, *rows), "", about]


def _people(facts: dict[str, Any]) -> list[str]:
    if "raters" not in facts:
        return []
    raters = facts["raters"]
    lines = ["## People", "", f"- Annotators: {raters['people']:,}; simulated: {raters['simulated']:,}"]
    names = {"w": "Kendall's W", "tau": "Kendall's τ-b", "alpha": "Krippendorff's α", "contested": "contested groups"}
    for key, figures in facts["agreement"].items():
        said = [f"{names[name]} {value:.3g}" for name, value in figures.items() if name in names and value is not None]
        lines.append(f"- {escaped(key)}: {', '.join(said) or 'no agreement can be computed'}")
    return lines


def _left_out(facts: dict[str, Any]) -> list[str]:
    lines = [f"- {REASONS[name]}: {count:,}" for name, count in facts["left_out"].items()]
    for name, count in facts.get("tasks_unknown", {}).items():
        lines.append(f"- Cases whose task “{escaped(name)}” is not known here, and was chosen by hand: {count:,}")
    return ["## Left out", "", *(lines or ["Nothing."])]


def _makers(facts: dict[str, Any]) -> list[str]:
    rows = [[escaped(name), f"{count:,}"] for name, count in facts["editors"].items()]
    tasks = [[escaped(name), *(f"{row[split]:,}" for split in SPLITS)] for name, row in facts["tasks"].items()]
    return [
        "## Editors and tasks", "", *_table(["editor", "candidates"], *rows), "",
        *_table(["task", *(f"groups, {split}" for split in SPLITS)], *tasks), "",
        "Editors are named for figures by editor. No model is shown them.",
    ]  # fmt: skip


# Download ------------------------------------------------------------------------------------------------------------

FORMAT = """## Files

`set.jsonl.gz`: JSON lines. The first line is the header (dimensions with people's scale, content hash); every other
line is a group: `source` and the candidates' `image` are SHA-256 of the original pictures, `labels` has for each
dimension `ranks` (1 is best), `mos`, `pairs` (first, second, 1, -1 or 0) and `excluded`.
"""


def archive(found: LabelledSet) -> IO[bytes]:
    """A zip with the card and the manifest; the same set gives the same bytes. Raises JobError where it is gone."""
    if not default_storage.exists(found.manifest):
        raise JobError(_("The manifest of %(name)s is gone from the storage.") % {"name": found.name})
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    with zipfile.ZipFile(file, "w") as made:
        with made.open(zipfile.ZipInfo("README.md", EPOCH), "w") as readme:
            readme.write(f"# {escaped(found.name)}\n\n{card(found)}\n{FORMAT}".encode())
        with (
            default_storage.open(found.manifest) as manifest,
            made.open(zipfile.ZipInfo("set.jsonl.gz", EPOCH), "w", force_zip64=True) as packed,
        ):
            while block := manifest.read(BLOCK):
                packed.write(block)
    file.seek(0)
    return file
