"""Whole studies, simulated with the functions that leases use: who gets a mix, and what hangs together."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.assign import RANGES, WINDOW, Offer, arranged, choose, joining, places, ranges, seeded

RECENT = 60


@dataclass
class Study:
    """``worth``: what is to be found out of each unit; the editor is the unit's number modulo ``editors``."""

    units: int
    raters: int
    editors: int = 4
    seed: int = 1
    mixing: bool = True
    linking: bool = True
    taken: Counter[int] = field(default_factory=Counter)
    people: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    had: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    scores: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    watched: bool = False
    overlooked: int = 0  # choices that joined nothing though a unit of the window would have

    def __post_init__(self) -> None:
        chance = seeded("simulation", self.seed)
        self.chance, self.order = chance, chance.sample(range(self.units), self.units)
        self.worth = [0.4 * (unit % self.editors) + chance.gauss(0, 1) for unit in range(self.units)]

    def take(self, me: int) -> bool:
        """Let an annotator judge a unit; False if there is none."""
        free = [unit for unit in self.order if self.taken[unit] < self.raters and me not in self.people[unit]]
        if not (window := free[:WINDOW]):
            return False
        past = self.had[me][-RECENT:]
        known = self.ranges([*window, *past])
        near = {unit: self.people[unit] for unit in [*window, *past]}
        joins = joining(me, near) if past and self.linking else set()
        offers = [self.offer(unit, known.get(unit), unit in joins) for unit in window]
        seen, had = (
            Counter(unit % self.editors for unit in past),
            Counter(known[unit] for unit in past if unit in known),
        )
        unit = choose(offers, seen, self.seed, me, len(self.had[me]), had=had if self.mixing else None).unit
        if self.watched and past and unit not in joins:
            part = self.part_of(me)
            self.overlooked += any(self.people[other] - part for other in window)
        self.taken[unit] += 1
        self.people[unit].add(me)
        self.had[me].append(unit)
        self.scores[unit].append(self.worth[unit] + self.chance.gauss(0, 0.5))
        return True

    def offer(self, unit: int, part: int | None, joins: bool) -> Offer:
        return Offer(unit, self.taken[unit], (unit % self.editors,), self.raters, part if self.mixing else None, joins)

    def ranges(self, units: list[int]) -> dict[int, int]:
        """By the mean so far, or that of the editor's others here."""
        known = {unit: fmean(self.scores[unit]) for unit in units if self.scores[unit]}
        by_editor: dict[int, list[float]] = defaultdict(list)
        for unit, value in known.items():
            by_editor[unit % self.editors].append(value)
        means = {editor: fmean(values) for editor, values in by_editor.items()}
        return ranges({unit: means[unit % self.editors] for unit in units if unit % self.editors in means} | known)

    def part_of(self, me: int) -> set[int]:
        reached, before = {me}, set[int]()
        while reached != before:
            before = set(reached)
            reached = reached.union(*(people for people in self.people.values() if people & reached))
        return reached

    def is_connected(self) -> bool:
        active = {me for me, units in self.had.items() if units}
        return not active or self.part_of(min(active)) == active

    def run(self, annotators: int, stays: tuple[int, int]) -> "Study":
        """Annotators come in random turns; each leaves after a number of units between these two."""
        left = {me: self.chance.randint(*stays) for me in range(1, annotators + 1)}
        while left:
            me = self.chance.choice(sorted(left))
            left[me] -= 1
            if not self.take(me) or not left[me]:
                del left[me]
        return self

    def uneven(self) -> float:
        """Mean over annotators: the largest less the smallest share of a third of the quality in their work."""
        ordered = sorted(self.worth)
        limits = [ordered[len(ordered) * part // RANGES] for part in range(1, RANGES)]
        spreads = []
        for units in self.had.values():
            shares = Counter(sum(self.worth[unit] >= limit for limit in limits) for unit in units)
            spreads.append((max(shares.values()) - min(shares[part] for part in range(RANGES))) / len(units))
        return fmean(spreads)


@pytest.fixture(scope="module")
def panel() -> Study:
    """20 people who judge 24 units each: 160 units of 3 raters from 4 editors."""
    return Study(units=160, raters=3).run(annotators=20, stays=(24, 24))


def test_it_works(panel: Study) -> None:
    assert sum(panel.taken.values()) >= 475
    assert max(panel.taken.values()) == 3
    assert all(len(units) == len(set(units)) for units in panel.had.values())
    assert panel.is_connected()


def test_everybody_gets_an_even_mix_of_editors(panel: Study) -> None:
    for units in panel.had.values():
        counts = Counter(unit % 4 for unit in units)
        assert max(counts.values()) - min(counts.values()) <= 4
    assert (
        fmean(max(c.values()) - min(c.values()) for c in (Counter(u % 4 for u in us) for us in panel.had.values())) < 2
    )


def test_everybody_gets_a_mix_of_the_ranges_of_quality(panel: Study) -> None:
    """More even than random work: on average over seeds by a quarter and more."""
    mixed, blind = [panel.uneven()], [Study(160, 3, mixing=False).run(20, (24, 24)).uneven()]
    for seed in (2,):
        mixed.append(Study(160, 3, seed=seed).run(20, (24, 24)).uneven())
        blind.append(Study(160, 3, seed=seed, mixing=False).run(20, (24, 24)).uneven())
    assert fmean(mixed) < 0.75 * fmean(blind)


def test_units_fill_up_together() -> None:
    """Half of the places of the window are filled before any unit has all: nobody waits for a fifth rating of one."""
    study = Study(units=24, raters=5).run(annotators=6, stays=(10, 10))
    assert sum(study.taken.values()) == 60
    assert max(study.taken.values()) - min(study.taken[unit] for unit in range(24)) <= 3


@settings(max_examples=20)
@given(st.integers(1, 10_000), st.integers(2, 8), st.integers(2, 4), st.integers(2, 5), st.integers(2, 4))
def test_a_study_with_room_is_in_one_piece_whoever_comes_and_goes(
    seed: int, annotators: int, raters: int, least: int, room: int
) -> None:
    """Everybody judges two units or more, and there are units enough that nobody finds them all taken."""
    study = Study(units=room * 5 * annotators, raters=raters, seed=seed, watched=True)
    study.run(annotators, (least, 12))
    assert study.overlooked == 0
    assert study.is_connected()


def test_without_looking_for_links_people_drift_apart() -> None:
    """So the test above can fail: with random choice, some of the same studies fall into parts."""
    apart = [Study(60, 2, seed=seed, linking=False).run(6, (2, 6)) for seed in range(20)]
    assert any(not study.is_connected() for study in apart)
    assert all(Study(60, 2, seed=seed).run(6, (2, 6)).is_connected() for seed in range(20))


# Sides and places ---------------------------------------------------------------------------------------------------


def test_sides_are_even_for_every_annotator_and_every_editor() -> None:
    """12 people compare 3 editors on 20 cases; all of them see every pair."""
    theirs: Counter[tuple[int, int]] = Counter()
    for me in range(12):
        mine: Counter[tuple[int, int]] = Counter()
        for case in range(20):
            for one, other in ((0, 1), (0, 2), (1, 2)):
                pair, editors = [3 * case + one, 3 * case + other], {3 * case + one: one, 3 * case + other: other}
                order = arranged(pair, editors, mine, theirs, "sides", me, case, one, other)
                mine += places([order], editors)
                theirs += places([order])
        assert all(abs(mine[editor, 0] - mine[editor, 1]) <= 4 for editor in range(3)), "of 40"
    assert all(abs(theirs[key, 0] - theirs[key, 1]) <= 6 for key in range(60)), "of 24"
    left = Counter[int]()
    for (key, place), count in theirs.items():
        left[key % 3] += count if place == 0 else -count
    assert all(abs(count) <= 24 for count in left.values()), "of 480"


def test_every_letter_is_even_for_every_editor() -> None:
    """8 people rank 5 candidates of 15 groups: each editor has each letter about as often."""
    theirs: Counter[tuple[int, int]] = Counter()
    for me in range(8):
        mine: Counter[tuple[int, int]] = Counter()
        for case in range(15):
            group = [5 * case + editor for editor in range(5)]
            editors = {key: key % 5 for key in group}
            order = arranged(group, editors, mine, theirs, "letters", me, case)
            mine += places([order], editors)
            theirs += places([order])
        assert {mine[editor, place] for editor in range(5) for place in range(5)} <= {1, 2, 3, 4, 5}
    assert all(theirs[key, place] <= 3 for key in range(75) for place in range(5)), "8 people, 5 letters"
