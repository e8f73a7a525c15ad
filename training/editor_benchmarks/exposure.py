"""Whether editors that were trained here have seen a benchmark's source images: then their figures flatter them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.utils.translation import gettext as _

from annotation.models import Editor
from training.editor_benchmarks.reading import cases_of
from training.models import EditorBenchmark, TrainedEditor
from training.proof.pairs import seen_by


@dataclass(frozen=True)
class Exposure:
    """Cases of the benchmark whose source image the training learned from, and those it was looked at with, which
    chose the version that it kept. ``known``: whether that is all of them for certain."""

    editor: Editor
    learned: int
    looked: int
    known: bool

    @property
    def words(self) -> str:
        """What is to be said of it; empty: nothing."""
        about = {"name": self.editor.name, "learned": self.learned, "looked": self.looked}
        found = []
        if self.learned:
            found.append(_("“%(name)s” learned from the source images of %(learned)d of these cases.") % about)
        if self.looked:
            words = _("“%(name)s” was looked at in its training with the source images of %(looked)d of these cases.")
            found.append(words % about)
        if not self.known:
            found.append(_("It is not known for certain what “%(name)s” learned from.") % about)
        return " ".join(found)


def exposures(benchmark: EditorBenchmark, editors: Collection[Editor]) -> dict[int, Exposure]:
    """By key of those that were trained here. One query, and one more where there are any; a training whose folder is
    gone takes more."""
    cards = list(TrainedEditor.objects.filter(editor__in=editors).select_related("editor", "job"))
    if not cards:
        return {}
    sources = list(cases_of(benchmark).order_by().values_list("source__sha256", flat=True))
    found = {}
    for card in cards:
        seen = seen_by(card)
        learned, looked = (sum(one in some for one in sources) for some in (seen.learned, seen.looked))
        found[card.editor_id] = Exposure(card.editor, learned, looked, seen.known)
    return found
