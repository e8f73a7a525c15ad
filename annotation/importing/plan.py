"""What an import would do, worked out before anything is written: all that can be checked without decoding an image.

The images are then checked one by one with ``check_file``, so that a large import shows progress, can be stopped, and
holds one image in memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from annotation.importing.images import VerifiedImage, verify
from annotation.importing.limits import DEFAULT_LIMITS, Limits
from annotation.importing.manifest import CandidateRow, CaseRow, Manifest, read_manifest
from annotation.importing.problems import ImportProblem, Problem, Problems, printable, quoted
from annotation.importing.source import ImportSource


@dataclass(frozen=True, slots=True)
class Reference:
    """A cell of the manifest that names a file."""

    manifest: str
    line: int
    field: str


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """``files`` are the images that the rows need, each once, in the order of first use. Import only if ``ok``."""

    cases: tuple[CaseRow, ...]
    candidates: tuple[CandidateRow, ...]
    references: Mapping[str, tuple[Reference, ...]]
    problems: Problems
    limits: Limits

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(self.references)

    @property
    def ok(self) -> bool:
        return not self.problems


def plan(
    source: ImportSource,
    known_tasks: Collection[str],
    existing_keys: Collection[str] = frozenset(),
    limits: Limits = DEFAULT_LIMITS,
) -> ImportPlan:
    """Check names and manifest of ``source`` for a data set that has ``existing_keys`` already."""
    problems = Problems(limits.max_problems)
    for name, sentence in source.refused.items():
        problems.add(sentence, printable(name))
    manifest = read_manifest(source, known_tasks, limits, problems)
    _check_new(manifest, existing_keys, problems)
    _check_candidates(manifest, existing_keys, problems)
    references = _references(manifest)
    for name, places in references.items():
        if fault := _file_fault(source, name, limits):
            for place in places:
                problems.add(f"{quoted(name)}: {fault}", place.manifest, place.line, place.field)
    return ImportPlan(manifest.cases.rows, manifest.candidates, references, problems, limits)


def check_file(plan: ImportPlan, source: ImportSource, name: str) -> tuple[VerifiedImage, bytes]:
    """Read and decode one of ``plan.files``: what it is, and its original bytes.

    Raises ImportProblem with the file's name and the manifest lines that ask for it.
    """
    try:
        data = source.open(name, plan.limits.max_file_bytes)
        return verify(data, plan.limits), data
    except ImportProblem as error:
        sentence = f"{error.problem.sentence} It is named in {_places(plan.references.get(name, ()))}."
        raise ImportProblem(Problem(sentence, file=printable(name))) from error


def check_mask(plan: ImportPlan, case: CaseRow, source: VerifiedImage, mask: VerifiedImage) -> None:
    """Raise ImportProblem unless ``mask`` fits its source image: same size, grey, opaque."""
    if (mask.width, mask.height) != (source.width, source.height):
        sizes = f"{mask.width} × {mask.height} pixels, its source image {source.width} × {source.height}"
        sentence = f"The mask has {sizes}. They must have the same size."
    elif mask.transparent:
        sentence = "The mask is partly transparent. Save it in black and white without transparency."
    elif not mask.grey:
        sentence = "The mask is in colour. Save it in greyscale: white where the edit may change the image."
    else:
        return
    name = case.mask or ""
    place = next(place for place in plan.references[name] if (place.field, place.line) == ("mask", case.line))
    raise ImportProblem(Problem(f"{quoted(name)}: {sentence}", place.manifest, place.line, place.field))


def _check_new(manifest: Manifest, existing: Collection[str], problems: Problems) -> None:
    for key, line in manifest.cases.keys.items():
        if key in existing:
            problems.add(f"The key {quoted(key)} is already in the data set.", manifest.cases_file or "", line, "key")


def _check_candidates(manifest: Manifest, existing: Collection[str], problems: Problems) -> None:
    """Each belongs to a case, and no two rows are the same candidate.

    A candidate is told from others by case, editor, seed and settings; one file twice under one editor is a slip too.
    """
    file = manifest.candidates_file or ""
    seen: dict[tuple[str, ...], int] = {}
    for row in manifest.candidates:
        if manifest.cases.whole and row.case not in manifest.cases.keys and row.case not in existing:
            sentence = f"The case {quoted(row.case)} is neither in the manifest nor in the data set."
            problems.add(sentence, file, row.line, "case")
        by_file = ("file", row.case, row.editor, row.file)
        if (first := seen.setdefault(by_file, row.line)) != row.line:
            problems.add(f"Line {first} has this file for the same case and editor.", file, row.line, "file")
            continue
        by_origin = ("origin", row.case, row.editor, str(row.seed), json.dumps(row.settings, sort_keys=True))
        if (first := seen.setdefault(by_origin, row.line)) != row.line:
            sentence = f"Line {first} has the same case, editor, seed and settings. Give each candidate its own seed."
            problems.add(sentence, file, row.line, "seed")


def _references(manifest: Manifest) -> dict[str, tuple[Reference, ...]]:
    found: dict[str, list[Reference]] = {}
    for case in manifest.cases.rows:
        for field, name in (("source", case.source), ("mask", case.mask)):
            if name:
                found.setdefault(name, []).append(Reference(manifest.cases_file or "", case.line, field))
    for candidate in manifest.candidates:
        place = Reference(manifest.candidates_file or "", candidate.line, "file")
        found.setdefault(candidate.file, []).append(place)
    return {name: tuple(places) for name, places in found.items()}


def _file_fault(source: ImportSource, name: str, limits: Limits) -> str | None:
    if name not in source:
        if name in source.refused:
            return f"This file is refused. {source.refused[name]}"
        if near := source.same_but_for_case(name):
            return f"There is no such file; there is {quoted(near)}. Small and capital letters count."
        return "There is no such file in the import."
    if source.size(name) == 0:
        return "The file is empty."
    if source.size(name) > limits.max_file_bytes:
        return f"The file has {source.size(name):,} bytes; the limit is {limits.max_file_bytes:,}."
    return None


def _places(places: tuple[Reference, ...]) -> str:
    named = [f"{place.manifest} line {place.line}" for place in places[:5]]
    more = len(places) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")
