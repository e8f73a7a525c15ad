"""Which file names are safe: one rule for folders, zip entries and the paths that a manifest names."""

from __future__ import annotations

import re
import unicodedata

# Files that desktop systems leave behind; they are passed over in silence.
_LITTER = frozenset({"__macosx", ".ds_store", "thumbs.db", "desktop.ini"})

_SURROGATE = re.compile("[\ud800-\udfff]")
# Characters that cannot be seen or that reorder the text around them, so that a name shows as another one.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_UNSEEN_IN_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")


def normal(name: str) -> str:
    """The form under which a name is kept: macOS writes é as two characters, a manifest usually as one."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Two names with the same folded form are one file on Windows and macOS."""
    return normal(normal(name).casefold())


def is_litter(name: str) -> bool:
    """Whether a desktop system left this file behind (``__MACOSX/``, ``.DS_Store``, ``._photo.png``…)."""
    return any(part.casefold() in _LITTER or part.startswith("._") for part in name.split("/"))


def text_fault(text: str, *, lines: bool = False) -> str | None:
    """What keeps ``text`` from being stored and shown, as a sentence, or None. ``lines`` allows tab and line feed."""
    if _SURROGATE.search(text):
        return "This is not valid UTF-8 text. Save the file as UTF-8."
    if found := (_UNSEEN_IN_TEXT if lines else _UNSEEN).search(text):
        return f"This holds the control character U+{ord(found[0]):04X}. Remove it."
    return None


def name_fault(name: str, max_length: int) -> str | None:
    """Why ``name`` is no path inside the import, as a sentence, or None where it is one."""
    parts = name.split("/")
    if not name:
        return "The path is empty."
    if len(name) > max_length:
        return f"The path is {len(name)} characters long; the limit is {max_length}."
    if fault := text_fault(name):
        return fault
    faults = (
        ("\\" in name, "The path has a backslash. Use / between folders."),
        (
            name.startswith("/") or any(_DRIVE.match(part) for part in parts),
            "The path is absolute. Give it from the top of the import, such as images/cat.png.",
        ),
        (".." in parts, "The path leaves the import with “..”. Every file must lie inside it."),
        ("" in parts or "." in parts, "The path has an empty part or a “.”. Write it plainly, such as images/cat.png."),
    )
    return next((sentence for applies, sentence in faults if applies), None)
