"""What the database knows that a choice of units rests on: see ``annotation.assign``.

Every read is bounded by the window of open units and by an annotator's latest ones, so a lease costs the same in a
small study and in a large one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models import Avg

from annotation import assign
from annotation.models import Assignment, Candidate, ItemCandidate, Mark, Member, Study, Unit

RECENT = 60  # an annotator's latest assignments, which count for the mix


@dataclass
class Past:
    """An annotator's latest assignments in the study: units, their places in the study's random order, and the
    candidates that they showed, in their order."""

    units: list[int]
    shuffles: list[float]
    orders: list[list[int]]


def past_of(member: Member) -> Past:
    latest = Assignment.objects.filter(study=member.study, annotator=member.user).order_by("-id")[:RECENT]
    rows = list(latest.values_list("unit_id", "unit__shuffle", "order"))
    return Past([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def candidates_of(items: Collection[int]) -> dict[int, list[int]]:
    """The candidates of each item, controls too, by their keys."""
    found: dict[int, list[int]] = {item: [] for item in items}
    entries = ItemCandidate.objects.filter(item__in=items).order_by("candidate_id")
    for item, candidate in entries.values_list("item_id", "candidate_id"):
        found[item].append(candidate)
    return found


def editors_of(candidates: Collection[int]) -> dict[int, int]:
    return dict(Candidate.everything.filter(pk__in=candidates).values_list("pk", "editor_id"))


@dataclass
class Mix:
    """Units of the window as offers, and what this annotator had: editors, ranges of quality, and company."""

    me: int
    offers: dict[int, assign.Offer]
    seen: Counter[int]
    had: Counter[int]
    shared: dict[int, set[int]]

    def choose(self, units: Iterable[Unit], *seed: object) -> int:
        """The key of the unit to take next. It counts as taken.

        The first one of all is free: else everybody would begin with the same few.
        """
        joining: set[int] = set()
        if any(self.me in people for people in self.shared.values()):
            joining = assign.joining(self.me, self.shared)
        offers = [replace(self.offers[unit.pk], joins=unit.pk in joining) for unit in units]
        chosen = assign.choose(offers, self.seen, *seed, had=self.had)
        self.seen.update(chosen.editors)
        self.had.update([] if chosen.range is None else [chosen.range])
        self.shared[chosen.unit].add(self.me)
        return chosen.unit


def mix_of(member: Member, window: Sequence[Unit]) -> Mix:
    """What the choice among the units of the window rests on. Five queries.

    Where chance decides it goes by places in the study's random order, not by keys of rows: the same study is judged
    in the same order in every database.
    """
    past, groups = past_of(member), candidates_of({unit.item_id for unit in window})
    candidates = {key for group in [*groups.values(), *past.orders] for key in group}
    editors = editors_of(candidates)
    known = _quality(member.study, candidates, editors)
    shown = {unit.shuffle: groups[unit.item_id] for unit in window}
    shown |= dict(zip(past.shuffles, past.orders, strict=True))
    ranges = assign.ranges({unit: value for unit, group in shown.items() if (value := _mean(known, group)) is not None})
    offers = {
        unit.pk: assign.Offer(
            unit=unit.pk,
            taken=unit.taken,
            editors=tuple(editors[key] for key in groups[unit.item_id]),
            target=unit.target,
            range=ranges.get(unit.shuffle),
        )
        for unit in window
    }
    seen = Counter(editors[key] for order in past.orders for key in order if key in editors)
    shared = _shared([*offers, *past.units])
    return Mix(member.user_id, offers, seen, Counter(ranges[at] for at in past.shuffles if at in ranges), shared)


def _mean(known: Mapping[int, float], group: Iterable[int]) -> float | None:
    values = [known[key] for key in group if key in known]
    return sum(values) / len(values) if values else None


def _quality(study: Study, candidates: Collection[int], editors: Mapping[int, int]) -> dict[int, float]:
    """What is known of each candidate's quality, from 0 to 1: the mean of its marks in this study so far, or else the
    mean of its editor's candidates among these; nothing where there is neither."""
    known = _means(study, candidates)
    by_editor: dict[int, list[float]] = defaultdict(list)
    for key, value in known.items():
        by_editor[editors[key]].append(value)
    means = {editor: sum(values) / len(values) for editor, values in by_editor.items()}
    return {key: means[editor] for key, editor in editors.items() if editor in means} | known


def _means(study: Study, candidates: Collection[int]) -> dict[int, float]:
    """Mean over dimensions of the scores on their scales; of pairs, which have no scores, the share of wins.

    The study is picked out here: a database that is told of it may read all of the study's judgements instead.
    """
    scales = {d.key: (d.low, d.high - d.low) for d in study.protocol.dimensions}
    marks = Mark.objects.counted().filter(candidate__in=candidates).order_by()
    by_study = marks.values_list("judgement__study_id", "candidate_id", "dimension")
    rows = by_study.annotate(score=Avg("score"), rank=Avg("rank"))
    values: dict[int, list[float]] = defaultdict(list)
    for found_in, candidate, dimension, score, rank in rows:
        if found_in != study.pk:
            continue
        low, width = scales[dimension]
        values[candidate].append((score - low) / width if score is not None else 2 - rank)
    return {candidate: sum(found) / len(found) for candidate, found in values.items()}


def _shared(units: Collection[int]) -> dict[int, set[int]]:
    """The annotators of each unit: those who have judged it, or hold it now."""
    found: dict[int, set[int]] = {unit: set() for unit in units}
    held = Assignment.objects.filter(unit__in=units).exclude(state=Assignment.State.EXPIRED)
    for unit, annotator in held.values_list("unit_id", "annotator_id"):
        found[unit].add(annotator)
    return found


def orders_of(member: Member, units: Sequence[Unit]) -> list[list[int]]:
    """The order of the candidates for each of these new units: places even over this annotator's editors, and over all
    who had the item. Of single candidates there is one order, and nothing is asked."""
    groups = candidates_of({unit.item_id for unit in units})
    if all(len(group) < 2 for group in groups.values()):
        return [list(groups[unit.item_id]) for unit in units]
    past = past_of(member).orders
    others = Assignment.objects.filter(unit__item__in=list(groups)).values_list("order", flat=True)
    editors = editors_of({key for group in [*groups.values(), *past] for key in group})
    mine, theirs = assign.places(past, editors), assign.places(others)
    orders = []
    for unit in units:
        group = groups[unit.item_id]
        chance = member.study.seed, member.position, unit.shuffle, unit.round
        order = assign.arranged(group, editors, mine, theirs, *chance)
        mine += assign.places([order], editors)
        theirs += assign.places([order])
        orders.append(order)
    return orders
