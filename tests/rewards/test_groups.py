"""The format of a training set: pairs against brute force, the file there and back, and files that are none."""

import gzip
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
            wanted[i, j] = ((a < b) - (a > b), abs(a - b) / (len(ranks) - 1))
    assert found == wanted


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


def test_the_whole_comes_to_five_to_one_to_one() -> None:
    pieces = [(Piece(f"s{n}", "add"), "bench" if n < 5 else "train") for n in range(70)]
    found = list(divide(pieces, 1).values())
    assert [found.count(split) for split in ("train", "dev", "test")] == [50, 10, 10]
