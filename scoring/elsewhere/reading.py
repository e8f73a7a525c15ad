"""Which layout a file has, by its content, and what it holds. Pure; files are taken to be hostile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from annotation.importing.problems import quoted
from annotation.importing.rows import strict_json
from scoring.elsewhere import imagenhub, labelstudio, lists, longcsv
from scoring.elsewhere.checking import check
from scoring.elsewhere.found import Found, Refused
from scoring.elsewhere.unpacking import MIB, MOST_FILES, Plain

MOST_JSON = 48 * MIB
MOST_OBJECTS = 200_000
HEADERS: tuple[tuple[tuple[str, ...], Callable[[Path], Found]], ...] = (
    (longcsv.IMAGENHUB_COLUMNS, longcsv.read_imagenhub),
    (longcsv.RANKING_COLUMNS, longcsv.read_rankings),
    (longcsv.RATING_COLUMNS, longcsv.read_ratings),
)
KNOWN = (
    "Known are: CSV with the columns annotator,item,dimension,score or annotator,group,dimension,candidate,rank; "
    "Label Studio's JSON export of Rating or Ranker; ImagenHub's TSV of raters, or CSV with the columns "
    "task,uid,model,rater,dim,score; GenAI-Bench's votes and ImageReward's rankings, in JSON."
)
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read(files: Sequence[Plain], *, repeats: bool = False) -> Found:
    """Judgements of one file, or of several TSV files of ImagenHub's raters. All or nothing: raises Refused.

    ``repeats``: that an annotator judged one thing several times is meant.
    """
    if not files:
        raise Refused(["There is no file."])
    if len(files) > MOST_FILES:
        raise Refused([f"There are {len(files)} files; the limit is {MOST_FILES}."])
    heads = [_head(file) for file in files]
    if all(_is_tsv(head) for head in heads):
        return check(imagenhub.read_raters(files), repeats=repeats)
    if len(files) > 1:
        raise Refused(["Only TSV files of ImagenHub's raters make one set together. Import other files one by one."])
    (file,), (head,) = files, heads
    return check(_json(file) if head.startswith(("[", "{")) else _table(file), repeats=repeats)


def _head(file: Plain) -> str:
    """The beginning, without the mark of UTF-8 and blanks."""
    with file.path.open("rb") as opened:
        data = opened.read(64 * 1024)
    if data.startswith(UTF16):
        raise Refused([f"{quoted(file.name)} is UTF-16. Save it as UTF-8."])
    return data.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()


def _is_tsv(head: str) -> bool:
    first = head.split("\n", 1)[0]
    return "\t" in first and first.split("\t", 1)[0].strip() == "uid"


def _table(file: Plain) -> Found:
    header = longcsv.header_of(file.path)
    for columns, reader in HEADERS:
        if set(columns) <= set(header):
            return reader(file.path)
    raise Refused([_unknown(file, header), KNOWN])


def _unknown(file: Plain, header: Sequence[str]) -> str:
    """What is missing for the layout that comes nearest."""
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        return "The columns are not separated by commas. Save the file as CSV with commas."
    columns = max((one for one, _reader in HEADERS), key=lambda one: len(set(one) & set(header)))
    missing = [name for name in columns if name not in header]
    if len(missing) > len(columns) // 2:
        return f"{quoted(file.name)} has no layout that is known."
    return f"The first line of {quoted(file.name)} has no column {', '.join(missing)}."


def _json(file: Plain) -> Found:
    if file.path.stat().st_size > MOST_JSON:
        raise Refused([f"{quoted(file.name)} is larger than {MOST_JSON // MIB} MiB, the limit for JSON. Use long CSV."])
    data = file.path.read_bytes()
    try:
        found = strict_json(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Refused([f"The file is not UTF-8 text (byte {error.start + 1:,}). Save it as UTF-8."]) from None
    except ValueError as error:
        raise Refused([f"The file cannot be read as JSON: {error}."]) from None
    if not isinstance(found, list) or not found:
        what = "an empty list" if found == [] else "no list"
        raise Refused([f"The file holds {what}; it must hold a list of objects: [{{…}}, {{…}}].", KNOWN])
    if len(found) > MOST_OBJECTS:
        raise Refused([f"The list has {len(found):,} objects; the limit is {MOST_OBJECTS:,}. Import it in parts."])
    return _of_objects(found, data)


def _of_objects(found: list[Any], data: bytes) -> Found:
    first = found[0] if isinstance(found[0], dict) else {}
    if "annotations" in first:
        return labelstudio.read_label_studio(found)
    if "human_vote" in first:
        return lists.read_genai(data)
    if "generations" in first and "ranking" in first:
        return lists.read_imagereward(found)
    if "annotation_id" in first:
        raise Refused(["This is Label Studio's JSON-MIN, which does not say what was rated how. Export it as JSON."])
    if "completions" in first:
        raise Refused(["This is an export of Label Studio before 1.0. Export it with a newer release."])
    raise Refused(["The first object of the list has no layout that is known.", KNOWN])
