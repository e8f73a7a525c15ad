"""library: what is edited and by whom. studies: what people are asked. judging: what they answered."""

from annotation.models.judging import Assignment, Event, Flag, Judgement, Mark
from annotation.models.library import Candidate, Case, Dataset, Editor, Split, StoredImage, Task, TaskGroup
from annotation.models.studies import Item, ItemCandidate, Member, Study, StudyState, Unit

__all__ = [
    "Assignment",
    "Candidate",
    "Case",
    "Dataset",
    "Editor",
    "Event",
    "Flag",
    "Item",
    "ItemCandidate",
    "Judgement",
    "Mark",
    "Member",
    "Split",
    "StoredImage",
    "Study",
    "StudyState",
    "Task",
    "TaskGroup",
    "Unit",
]
