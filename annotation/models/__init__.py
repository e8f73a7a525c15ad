"""What is edited (library, curation), what people are asked (studies), and what they answered (judging)."""

from annotation.models.curation import (
    Category,
    DatasetVersion,
    Proposal,
    ProposalState,
    Source,
    Unmade,
    UnmadeReason,
)
from annotation.models.judging import Assignment, Event, Flag, Judgement, Mark
from annotation.models.library import Candidate, Case, Dataset, Editor, Fault, Split, StoredImage, Task, TaskGroup
from annotation.models.studies import Item, ItemCandidate, Member, Study, StudyState, Unit

__all__ = [
    "Assignment",
    "Candidate",
    "Case",
    "Category",
    "Dataset",
    "DatasetVersion",
    "Editor",
    "Event",
    "Fault",
    "Flag",
    "Item",
    "ItemCandidate",
    "Judgement",
    "Mark",
    "Member",
    "Proposal",
    "ProposalState",
    "Source",
    "Split",
    "StoredImage",
    "Study",
    "StudyState",
    "Task",
    "TaskGroup",
    "Unit",
    "Unmade",
    "UnmadeReason",
]
