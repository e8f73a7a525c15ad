"""Items of a study and their units: what is judged, and how often."""

from collections.abc import Sequence
from random import Random

from annotation.models import Case, Item, ItemCandidate, Study, Unit

BATCH = 2000

ItemGroup = tuple[int, tuple[int, ...]]
"""A case's key, and the keys of its candidates that are judged together."""


def make_items(study: Study, groups: Sequence[ItemGroup], chance: Random) -> None:
    """An item for each group, and its units, at places in the study's random order that ``chance`` gives them."""
    for start in range(0, len(groups), BATCH):
        part = groups[start : start + BATCH]
        items = Item.objects.bulk_create([Item(study=study, case_id=case) for case, _group in part])
        ItemCandidate.objects.bulk_create(
            ItemCandidate(item=item, candidate_id=key)
            for item, (_case, group) in zip(items, part, strict=True)
            for key in group
        )
        _make_units(study, items, chance)


def _make_units(study: Study, items: Sequence[Item], chance: Random) -> None:
    protocol = study.protocol
    splits = dict(Case.objects.filter(pk__in={item.case_id for item in items}).values_list("pk", "split"))
    Unit.objects.bulk_create(
        Unit(
            study=study,
            item=item,
            dimension=dimension,
            target=protocol.raters_of(splits[item.case_id]),
            shuffle=chance.random(),
        )
        for item in items
        for dimension in protocol.unit_dimensions
    )
