"""The format of a training set: pairs against brute force, the file there and back, and files that are none."""

import gzip
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.curation.splits import Piece
from training.rewards.groups import (
    Dimension,
    Entry,
    Group,
    Header,
    Labels,
    WrongSet,
    cut_ranks,
    from_line,
    pairs_of,
    read_groups,
    read_header,
    reordered,
    to_line,
    write_set,
)
from training.sets.dividing import divide
from training.sets.facts import Facts, Largest, digest

DIMENSION = Dimension("quality", "Quality", 1, 5)
values = st.none() | st.integers(1, 5).map(float)


def group(labels: Labels, n: int = 3, key: str = "g", split: str = "train", source: str = "s") -> Group:
    entries = tuple(Entry(f"{key}-{place}", f"image-{key}-{place}", f"editor-{place}") for place in range(n))
    return Group(key, source, source, "Do it", "add", split, entries, {"quality": labels})


@given(st.lists(values, min_size=2, max_size=6))
def test_pairs_of_ranks_are_all_pairs_that_have_ranks(ranks: list[float | None]) -> None:
    found = {(pair.first, pair.second): (pair.outcome, pair.gap) for pair in pairs_of(Labels(ranks=tuple(ranks)), 4)}
    wanted = {}
    for i, j in combinations(range(len(ranks)), 2):
        a, b = ranks[i], ranks[j]
        if a is not None and b is not None:
            wanted[i, j] = ((a < b) - (a > b), min(abs(a - b) / (len(ranks) - 1), 1.0))
    assert found == wanted


@given(st.lists(st.integers(2, 12).map(lambda twice: twice / 2), min_size=2, max_size=8), st.data())
def test_ranks_that_are_left_of_a_cut_group_keep_their_order_ties_and_gaps(
    ranks: list[float], data: st.DataObject
) -> None:
    whole = [min(rank, len(ranks)) for rank in ranks]
    chosen = data.draw(st.lists(st.sampled_from(range(len(ranks))), min_size=2, unique=True))
    left = cut_ranks([whole[place] for place in chosen], len(whole))
    before = {(pair.first, pair.second): pair for pair in pairs_of(Labels(ranks=tuple(whole)), 1)}
    for pair in pairs_of(Labels(ranks=left), 1):
        i, j = chosen[pair.first], chosen[pair.second]
        same = before[min(i, j), max(i, j)]
        assert 0 <= pair.gap <= 1 and pair.gap == pytest.approx(same.gap)
        assert pair.outcome == (same.outcome if i < j else -same.outcome)


def test_a_gap_is_never_wider_than_the_widest() -> None:
    """Sets that were made before, and files of others: ranks that are wider than the group, scores beside the scale."""
    for labels in (Labels(ranks=(1, 4)), Labels(mos=(0, 9))):
        assert [pair.gap for pair in pairs_of(labels, 4)] == [1.0]
    assert cut_ranks([None, 3.0], 1) == (None, 3.0) and cut_ranks([2.0], 3) == (1.0,)


def test_a_pair_that_was_asked_goes_before_ranks_and_ranks_before_scores() -> None:
    labels = Labels(ranks=(1, 2, None), mos=(1, 5, 3), pairs=((1, 0, 1),), excluded=frozenset({(1, 2)}))
    pairs = [(pair.first, pair.second, pair.outcome, pair.gap) for pair in pairs_of(labels, 4)]
    assert pairs == [(0, 1, -1, 0.5), (0, 2, -1, 0.5)]


@given(st.lists(st.integers(1, 4).map(float), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_labels_move_with_their_candidates(ranks: list[float], chance: object) -> None:
    order = list(range(len(ranks)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    labels = Labels(ranks=tuple(ranks), pairs=((0, 1, 1),), excluded=frozenset({(0, 1)}), both_bad=frozenset({(0, 1)}))
    new = reordered(labels, order)
    assert [new.ranks[place] for place in range(len(order))] == [ranks[old] for old in order]
    assert new.excluded == new.both_bad == {tuple(sorted((order.index(0), order.index(1))))}
    ((i, j, outcome),) = new.pairs
    assert (order[i], order[j]) == ((0, 1) if outcome == 1 else (1, 0))


def test_the_file_there_and_back_is_the_same_bytes(tmp_path: Path) -> None:
    header = Header("Mine", (DIMENSION,), "0" * 64, "Demo data.")
    groups = [group(Labels(ranks=(1, 2.5, 2.5), pairs=((0, 2, -1),), excluded=frozenset({(0, 2)})))]
    for name in ("set.jsonl", "set.jsonl.gz"):
        assert write_set(tmp_path / name, header, groups) == 1
        assert read_header(tmp_path / name) == header
        assert list(read_groups(tmp_path / name)) == groups
    first = (tmp_path / "set.jsonl.gz").read_bytes()
    write_set(tmp_path / "other.jsonl.gz", header, groups)
    assert (tmp_path / "other.jsonl.gz").read_bytes() == first
    assert from_line(to_line(groups[0])) == groups[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"{oops", r"\(line 1\)"),
        (b'{"schema": 9}', "schema 9 is not known"),
        (b'{"schema": 1, "name": "n", "dimensions": [], "content_hash": "", "notice": ""}\n{"key": 1}\n', "line 2"),
        (b"\xff\xfe", "no training set"),
    ],
)
def test_a_file_that_is_no_set_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "set.jsonl").write_bytes(data)
    (tmp_path / "set.jsonl.gz").write_bytes(gzip.compress(data))
    for name in ("set.jsonl", "set.jsonl.gz"):
        with pytest.raises(WrongSet, match=words):
            read_header(tmp_path / name)
            list(read_groups(tmp_path / name))


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl.gz"
    write_set(path, Header("Mine", (DIMENSION,)), [group(Labels(mos=(1, 2, 3)), key=str(n)) for n in range(50)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(WrongSet, match=r"EOFError|CRC|Compressed"):
        list(read_groups(path))


# Figures -------------------------------------------------------------------------------------------------------------


def test_facts_count_what_goes_by() -> None:
    facts = Facts((DIMENSION, Dimension("other", "Other", 0, 1)))
    facts.see(group(Labels(ranks=(1, 2.5, 2.5))))
    facts.see(group(Labels(mos=(1, None, 5), excluded=frozenset({(0, 2)})), key="h", split="test", source="t"))
    found = facts.to_json()
    assert found["splits"] == {"train": 1, "dev": 0, "test": 1} == found["sources"]
    assert facts.dimensions == (DIMENSION,)
    quality = found["dimensions"]["quality"]
    assert quality["pairs"] == {"train": 2, "dev": 0, "test": 0} and quality["ties"]["train"] == 1
    assert (quality["excluded"], quality["scored"], quality["ranked"]) == (1, 2, 1)
    assert sum(quality["gaps"]) == 2 and quality["gaps"][7] == 2  # 1.5 of 2 ranks
    assert facts.rejected[0]["mos"] == [1, 5] and facts.rejected[0]["dimension"] == "quality"


def test_the_hash_knows_no_names_and_no_order() -> None:
    def hashed(*groups: Group) -> str:
        facts = Facts((DIMENSION,))
        for one in groups:
            facts.see(one)
        return facts.content_hash()

    one, other = group(Labels(ranks=(1, 2, 3)), key="a"), group(Labels(ranks=(3, 2, 1)), key="b", source="t")
    assert hashed(one, other) == hashed(other, one) != hashed(one)
    entries = tuple(Entry("new", entry.image, "renamed") for entry in one.candidates)
    same = Group("c", one.source, one.source_key, one.instruction, one.task, one.split, entries, one.labels)
    assert digest(same) == digest(one)
    for name, value in (("split", "dev"), ("instruction", "No"), ("source_key", "u")):
        changed = {key: getattr(one, key) for key in Group.__slots__} | {name: value}
        assert digest(Group(**changed)) != digest(one)


@given(st.lists(st.integers(0, 5), max_size=30))
def test_the_largest_gaps_come_first_and_equal_ones_in_order(gaps: list[int]) -> None:
    largest = Largest(7)
    for place, gap in enumerate(gaps):
        if largest.wants(gap):
            largest.add(gap, {"gap": gap, "place": place})
    found = [(row["gap"], row["place"]) for row in largest.rows()]
    assert found == sorted(((gap, place) for place, gap in enumerate(gaps)), key=lambda one: (-one[0], one[1]))[:7]


# Splits --------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 15), st.sampled_from(["train", "train", "dev", "test", "bench"])), min_size=1),
    st.integers(0, 3),
)
def test_what_is_held_out_is_never_in_train(rows: list[tuple[int, str]], seed: int) -> None:
    pieces = [(Piece(f"s{source}", "add"), split) for source, split in rows]
    ties = [["s0", "s1"], ["s2", "s3", "s4"]]
    found = divide(pieces, seed, ties)
    assert {f"s{source}" for source, _split in rows} <= set(found)
    for piece, split in pieces:
        assert split == "train" or found[piece.source] != "train"
        assert split not in ("test", "bench") or found[piece.source] == "test"
    for tie in ties:
        assert len({found[source] for source in tie if source in {piece.source for piece, _split in pieces}}) <= 1
    assert found == divide(list(reversed(pieces)), seed, ties)


def pieces_of(count: int, start: int = 0) -> list[tuple[Piece, str]]:
    return [(Piece(f"s{n}", "add"), "train") for n in range(start, count)]


def test_parts_come_near_five_to_one_to_one() -> None:
    for seed in range(3):
        found = list(divide(pieces_of(7000), seed).values())
        assert [found.count(split) for split in ("train", "dev", "test")] == pytest.approx([5000, 1000, 1000], abs=120)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 9))
def test_a_source_has_one_part_in_every_set_of_a_seed(one: int, more: int, seed: int) -> None:
    """Whichever others are in the set: with a hundred sources and more no part has to be filled."""
    whole = divide(pieces_of(200 + more), seed)
    part = divide(pieces_of(200, start=one), seed)
    assert part == {source: whole[source] for source in part}
    assert divide(pieces_of(200), seed + 1) != divide(pieces_of(200), seed)


def test_look_alikes_have_one_part_in_every_set() -> None:
    ties = [[f"s{n}", f"s{n + 1}", f"s{n + 2}"] for n in range(0, 300, 3)]
    whole, part = divide(pieces_of(300), 4, ties), divide(pieces_of(150), 4, ties[:50])
    assert part == {source: whole[source] for source in part}
    assert all(len({whole[source] for source in tie}) == 1 for tie in ties)
    sizes = [list(whole.values()).count(split) for split in ("train", "dev", "test")]
    assert sizes == pytest.approx([214, 43, 43], abs=45)


@given(st.integers(1, 12), st.integers(0, 30))
def test_no_part_is_empty_where_there_are_enough_sources(count: int, seed: int) -> None:
    found = set(divide(pieces_of(count), seed).values())
    assert "train" in found and len(found) == min(count, 3)
    held_out = divide([(Piece("b", "add"), "bench"), *pieces_of(count)], seed)
    assert held_out["b"] == "test" and len(set(held_out.values())) == min(count + 1, 3)


def test_what_is_held_out_already_counts_towards_the_shares() -> None:
    pieces = [(Piece(f"source {n}", "add"), ("dev", "test", *("train",) * 8)[n % 10]) for n in range(700)]
    parts = Counter(divide(pieces, 3).values())
    assert abs(parts["train"] - 500) < 40
    assert abs(parts["dev"] - 100) < 30
    assert abs(parts["test"] - 100) < 30
    held = divide([(piece, "test" if split == "dev" else split) for piece, split in pieces], 3)
    assert Counter(held.values())["test"] == 140, "more than their share: none is added"
