"""Reading guidelines: the newest version with its examples, and what changed since another one."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from annotation import markdown
from annotation.models import GuidelineExample, Guidelines, Study


@dataclass(frozen=True)
class Change:
    """A line that came or went."""

    is_added: bool
    text: str


@dataclass(frozen=True)
class Shown:
    """An example as a page shows it; ``is_new``: not in the version that this reader knows."""

    row: GuidelineExample
    label: str
    is_new: bool


@dataclass(frozen=True)
class Guide:
    """What an annotator reads. ``changes`` and ``notes`` are empty for somebody who reads it for the first time."""

    number: int
    html: str
    examples: list[Shown]
    notes: list[str]
    changes: list[Change]
    is_again: bool
    gone: int  # examples that are no longer there


def guide_of(study: Study, known: int = 0) -> Guide:
    """The newest guidelines for somebody who read version ``known``. Three queries at most for the versions."""
    newest = study.guideline_versions.order_by("-number").first()
    if newest is None:  # written before there were versions: the first one
        return Guide(int(bool(study.guidelines.strip())), markdown.render(study.guidelines), [], [], [], False, 0)
    before = study.guideline_versions.filter(number=known).first() if known and known < newest.number else None
    old = {_key(row) for row in before.examples.all()} if before else set()
    rows = list(newest.examples.select_related("candidate__case", "candidate__image"))
    labels = {dimension.key: dimension.label for dimension in study.protocol.dimensions}
    shown = [
        Shown(row, labels.get(row.dimension, row.dimension), before is not None and _key(row) not in old)
        for row in rows
    ]
    notes = study.guideline_versions.filter(number__gt=known).exclude(note="").order_by("number") if before else ()
    return Guide(
        number=newest.number,
        html=markdown.render(newest.text),
        examples=shown,
        notes=[row.note for row in notes],
        changes=changes(before.text, newest.text) if before else [],
        is_again=before is not None,
        gone=len(old - {_key(row) for row in rows}),
    )


def _key(row: GuidelineExample) -> tuple[int, str, float, str]:
    return row.candidate_id, row.dimension, row.score, row.words


def changes(before: str, after: str) -> list[Change]:
    """The lines that went and came, in the order of the text; empty lines do not matter."""
    old, new = (text.splitlines() for text in (before, after))
    found: list[Change] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            found += [Change(False, line) for line in old[a:b] if line.strip()]
            found += [Change(True, line) for line in new[c:d] if line.strip()]
    return found


@dataclass(frozen=True)
class Past:
    """A version with what it changed, for its author."""

    version: Guidelines
    changes: list[Change]


def history(study: Study, versions: Sequence[Guidelines]) -> list[Past]:
    """The versions of a page, each beside the one before it. One query."""
    wanted = {version.number - 1 for version in versions} - {version.number for version in versions}
    texts = dict(study.guideline_versions.filter(number__in=wanted).values_list("number", "text"))
    texts |= {version.number: version.text for version in versions}
    return [Past(version, changes(texts.get(version.number - 1, ""), version.text)) for version in versions]
