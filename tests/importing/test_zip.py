"""A zip file as the source of an import. The hostile ones are built by hand; none is ever unpacked to disk."""

from __future__ import annotations

import copy
import io
import os
import stat
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from annotation.importing.limits import MIB, Limits
from annotation.importing.problems import ImportProblem
from annotation.importing.source import ZipSource, open_source
from tests.importing.make import patch_directory, zip_info, zipped

# Offsets in a record of the central directory (APPNOTE.TXT 4.3.12).
FLAGS, METHOD, CHECKSUM, PACKED, UNPACKED = 8, 10, 16, 20, 24


def test_it_works(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [("cases.jsonl", b"rows"), ("images/", b""), ("images/a.png", b"cat")])
    with open_source(path) as source:
        assert source.names() == ["cases.jsonl", "images/a.png"]
        assert source.open("images/a.png") == b"cat"
        assert not source.refused
        assert source.label == "set.zip"


def test_one_folder_at_the_top_counts_as_the_top(tmp_path: Path) -> None:
    entries = [("set/cases.csv", b"c"), ("set/img/a.png", b"a"), ("__MACOSX/set/._a.png", b"x"), ("set/.DS_Store", b"")]
    source = open_source(zipped(tmp_path / "set.zip", entries))
    assert source.names() == ["cases.csv", "img/a.png"]
    assert source.open("img/a.png") == b"a"
    assert source.same_but_for_case("IMG/A.png") == "img/a.png"


def test_only_one_folder_is_taken_away(tmp_path: Path) -> None:
    assert open_source(zipped(tmp_path / "a.zip", [("x/y/a", b""), ("x/y/b", b"")])).names() == ["y/a", "y/b"]
    assert open_source(zipped(tmp_path / "b.zip", [("x/a", b""), ("y/b", b"")])).names() == ["x/a", "y/b"]
    assert open_source(zipped(tmp_path / "c.zip", [("x/a", b""), ("b", b"")])).names() == ["b", "x/a"]


def test_an_empty_zip_has_no_files(tmp_path: Path) -> None:
    assert open_source(zipped(tmp_path / "a.zip", [])).names() == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../evil.png", "leaves the import"),
        ("images/../../evil.png", "leaves the import"),
        ("__MACOSX/../../evil.png", "leaves the import"),
        ("..", "leaves the import"),
        ("../", "leaves the import"),
        ("/etc/passwd", "absolute"),
        ("C:/windows/evil.png", "absolute"),
        ("c:evil.png", "absolute"),
        ("images/c:/evil.png", "absolute"),
        ("images\\evil.png", "backslash"),
        ("..\\evil.png", "backslash"),
        ("cat.png\0.exe", "control character U+0000"),
        ("cat\x1b[2J.png", "control character U+001B"),
        ("./a.png", "empty part"),
        ("images//a.png", "empty part"),
        ("//server/share", "absolute"),
        ("x" * 401, "401 characters long"),
    ],
)
def test_unsafe_names_are_refused(tmp_path: Path, name: str, sentence: str) -> None:
    source = open_source(zipped(tmp_path / "set.zip", [("good.png", b"good"), (name, b"evil")]))
    assert source.names() == ["good.png"]
    assert sentence in source.refused[name]
    with pytest.raises(ImportProblem, match="no such file"):
        source.open(name)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (stat.S_IFLNK, "symbolic link"),
        (stat.S_IFIFO, "a device, a socket or a pipe"),
        (stat.S_IFCHR, "a device, a socket or a pipe"),
        (stat.S_IFBLK, "a device, a socket or a pipe"),
        (stat.S_IFSOCK, "a device, a socket or a pipe"),
    ],
)
@pytest.mark.parametrize("system", [0, 3])
def test_entries_that_are_no_files_are_refused(tmp_path: Path, kind: int, sentence: str, system: int) -> None:
    info = zip_info("link.png", kind | 0o777)
    info.create_system = system
    source = open_source(zipped(tmp_path / "set.zip", [("a.png", b"a"), (info, b"/etc/passwd")]))
    assert source.names() == ["a.png"]
    assert sentence in source.refused["link.png"]


@pytest.mark.parametrize("mode", [0, 0o600, stat.S_IFREG | 0o644])
def test_entries_that_are_files_are_taken(tmp_path: Path, mode: int) -> None:
    assert open_source(zipped(tmp_path / "set.zip", [(zip_info("a.png", mode), b"a")])).names() == ["a.png"]


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted_entries_are_refused(tmp_path: Path, flag: int) -> None:
    path = zipped(tmp_path / "set.zip", [("a.png", b"a")])
    patch_directory(path, FLAGS, struct.pack("<H", flag))
    assert open_source(path).refused == {"a.png": "This is encrypted. Make the zip without a password."}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 93])
def test_unusual_packing_is_refused(tmp_path: Path, method: int) -> None:
    path = zipped(tmp_path / "set.zip", [("a.png", b"a")])
    patch_directory(path, METHOD, struct.pack("<H", method))
    assert f"packed by method {method}" in open_source(path).refused["a.png"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "set.zip", [("a.png", b"one"), ("a.png", b"two")]))
    assert source.refused == {"a.png": "The import has this file twice."}


def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    source = open_source(
        zipped(tmp_path / "set.zip", [("a.png", b"1"), ("A.PNG", b"2"), ("STRASSE", b"3"), ("straße", b"4")])
    )
    assert set(source.refused) == {"A.PNG", "straße"}
    assert "also has a.png" in source.refused["A.PNG"]


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [(f"{number}.png", b"") for number in range(4)])
    assert len(open_source(path, Limits(max_files=4)).names()) == 4
    with pytest.raises(ImportProblem, match=r"set.zip: It holds more than 3 files"):
        open_source(path, Limits(max_files=3))


def test_a_vast_directory_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "set.zip", [(f"{number}.png", b"") for number in range(40)])
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(ImportProblem, match="more than 5 files"):
        open_source(path, Limits(max_files=5))


@pytest.mark.parametrize("before_locator", [True, False])
def test_a_vast_directory_is_seen_in_a_zip64_record_too(tmp_path: Path, before_locator: bool) -> None:
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2**40, 2**40, 2**50, 0)
    gap = b"" if before_locator else b"?" * 100
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 3 if before_locator else 0, 1)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "set.zip").write_bytes(record + gap + locator + end)
    with pytest.raises(ImportProblem, match="more than 300,000 files"):
        open_source(tmp_path / "set.zip")


def test_a_zip64_archive_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        with file.open(zip_info("a.png"), "w", force_zip64=True) as entry:
            entry.write(b"cat")
        file.writestr("b.png", b"b")
    (tmp_path / "set.zip").write_bytes(out.getvalue())
    assert open_source(tmp_path / "set.zip").open("a.png") == b"cat"


def test_more_bytes_than_allowed_together_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [("a", b"12345"), ("b", b"12345")])
    assert open_source(path, Limits(max_total_bytes=10)).names() == ["a", "b"]
    with pytest.raises(ImportProblem, match="larger than 9 bytes together"):
        open_source(path, Limits(max_total_bytes=9))


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [("flat.png", bytes(4 * MIB)), ("a.png", os.urandom(2 * MIB))])
    source = open_source(path)
    assert source.names() == ["a.png"]
    assert "more than 200 times its size" in source.refused["flat.png"]


def test_a_small_flat_file_is_no_bomb(tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "set.zip", [("flat.png", bytes(MIB))]))
    assert source.open("flat.png") == bytes(MIB)


def lying_bomb(path: Path, **claims: int) -> Path:
    """64 MiB of zeros in 64 kB, with false numbers in both headers."""
    zipped(path, [("bomb.png", bytes(64 * MIB))])
    data = bytearray(path.read_bytes())
    directory = data.find(b"PK\x01\x02")
    for name, value in claims.items():
        offset = {"checksum": CHECKSUM, "packed": PACKED, "unpacked": UNPACKED}[name]
        struct.pack_into("<I", data, directory + offset, value)
        struct.pack_into("<I", data, offset - 2, value)  # the local header at the start of the file
    path.write_bytes(data)
    return path


def peak_of_opening(path: Path, limits: Limits) -> int:
    tracemalloc.start()
    try:
        with open_source(path, limits) as source, pytest.raises(ImportProblem, match=r"damaged|larger"):
            source.open("bomb.png")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_that_says_it_is_small_is_cut_off(tmp_path: Path) -> None:
    path = lying_bomb(tmp_path / "set.zip", unpacked=1000)
    assert peak_of_opening(path, Limits()) < 4 * MIB


def test_a_bomb_that_says_so_is_cut_off_while_it_is_read(tmp_path: Path) -> None:
    path = lying_bomb(tmp_path / "set.zip", unpacked=10 * MIB)
    source = ZipSource(path, Limits(max_ratio=10_000))
    with pytest.raises(ImportProblem, match=r"bomb.png: The file is larger than the limit of 1,000 bytes"):
        source.open("bomb.png", max_bytes=1000)


def test_a_file_larger_than_its_header_says_is_never_handed_out(tmp_path: Path) -> None:
    # Even with the checksum of the first 1,000 bytes, no more than those come out.
    path = lying_bomb(tmp_path / "set.zip", unpacked=1000, checksum=zlib.crc32(bytes(1000)))
    assert len(open_source(path).open("bomb.png")) == 1000


def test_a_file_smaller_than_its_header_says_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [("a.png", b"12345")])
    patch_directory(path, UNPACKED, struct.pack("<I", 6))
    with pytest.raises(ImportProblem, match=r"a.png: The file is damaged inside the zip"):
        open_source(path).open("a.png")


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [("a.png", b"12345")])
    patch_directory(path, CHECKSUM, b"\0\0\0\0")
    with pytest.raises(ImportProblem, match="damaged inside the zip"):
        open_source(path).open("a.png")


def test_a_local_header_with_another_name_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [("a.png", b"12345")])
    path.write_bytes(path.read_bytes().replace(b"a.png", b"b.png", 1))
    with pytest.raises(ImportProblem, match="damaged inside the zip"):
        open_source(path).open("a.png")


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("0.png", os.urandom(10_000))
        for number in range(1, 100):
            twin = copy.copy(file.filelist[0])
            twin.filename = f"{number}.png"
            file.filelist.append(twin)
    with pytest.raises(ImportProblem, match="lie over one another"):
        open_source(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"PK\x05\x06", b"not a zip", b"\x89PNG\r\n\x1a\n" + b"x" * 100])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "set.zip").write_bytes(data)
    with pytest.raises(ImportProblem, match=r"set.zip: It is not a zip file, or it is damaged"):
        open_source(tmp_path / "set.zip")


def test_a_zip_cut_short_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [("a.png", os.urandom(1000))])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ImportProblem, match="not a zip file, or it is damaged"):
        open_source(path)


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "set.zip", [("a", b"12345")]), Limits(max_file_bytes=4))
    with pytest.raises(ImportProblem, match="a: The file is larger than the limit of 4 bytes"):
        source.open("a")
    assert source.open("a", max_bytes=5) == b"12345"


def test_a_large_zip_is_not_held_in_memory(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", ((f"{number}.png", os.urandom(MIB)) for number in range(40)))
    tracemalloc.start()
    try:
        with open_source(path) as source:
            assert sum(len(source.open(name)) for name in source.names()) == 40 * MIB
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_it_closes_the_file(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", [("a", b"1")])
    with open_source(path) as source:
        pass
    with pytest.raises(ImportProblem):
        source.open("a")
