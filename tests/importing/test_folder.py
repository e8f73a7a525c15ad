"""A folder as the source of an import: what it lists, and what it refuses."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from annotation.importing.limits import Limits
from annotation.importing.problems import ImportProblem
from annotation.importing.source import FolderSource, open_source
from tests.importing.make import folder


def test_it_works(tmp_path: Path) -> None:
    folder(tmp_path, {"cases.jsonl": b"rows", "images/cats/a.png": b"cat"})
    with open_source(tmp_path) as source:
        assert source.names() == ["cases.jsonl", "images/cats/a.png"]
        assert source.open("images/cats/a.png") == b"cat"
        assert source.size("images/cats/a.png") == 3
        assert "images/cats/a.png" in source
        assert not source.refused


def test_files_that_desktops_leave_behind_are_passed_over(tmp_path: Path) -> None:
    folder(tmp_path, {"a.png": b"a", ".DS_Store": b"x", "sub/__MACOSX/b": b"x", "sub/._a.png": b"x", "Thumbs.db": b"x"})
    source = open_source(tmp_path)
    assert source.names() == ["a.png"]
    assert not source.refused


def test_a_folder_that_is_a_link_itself_may_be_named(tmp_path: Path) -> None:
    folder(tmp_path / "real", {"a.png": b"a"})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert open_source(tmp_path / "link").open("a.png") == b"a"


def test_links_are_refused_and_not_followed(tmp_path: Path) -> None:
    secret = folder(tmp_path / "outside", {"secret.png": b"secret"})
    root = folder(tmp_path / "root", {"a.png": b"a"})
    (root / "file.png").symlink_to(secret / "secret.png")
    (root / "sub").symlink_to(secret)
    (root / "loop").symlink_to(root)
    (root / "inside.png").symlink_to(root / "a.png")
    source = open_source(root)
    assert source.names() == ["a.png"]
    assert set(source.refused) == {"file.png", "sub", "loop", "inside.png"}
    assert all("symbolic link" in sentence for sentence in source.refused.values())
    with pytest.raises(ImportProblem, match="no such file"):
        source.open("sub/secret.png")


@pytest.mark.parametrize("swapped", ["sub/a.png", "sub"])
def test_a_link_put_there_after_the_listing_is_not_followed(tmp_path: Path, swapped: str) -> None:
    secret = folder(tmp_path / "outside", {"a.png": b"secret"})
    root = folder(tmp_path / "root", {"sub/a.png": b"a"})
    source = open_source(root)
    (root / swapped).rename(tmp_path / "moved")
    (root / swapped).symlink_to(secret if swapped == "sub" else secret / "a.png")
    with pytest.raises(ImportProblem, match=r"sub/a\.png: The file cannot be read"):
        source.open("sub/a.png")


def test_a_pipe_put_there_after_the_listing_does_not_hang(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"a.png": b"a"}))
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImportProblem, match="not a regular file"):
        source.open("a.png")


def test_pipes_and_sockets_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as endpoint:
        here = os.open(tmp_path, os.O_RDONLY)
        endpoint.bind(f"/proc/self/fd/{here}/socket.png")  # a socket's path may have 107 characters at most
        os.close(here)
        source = open_source(tmp_path)
    assert set(source.refused) == {"pipe.png", "socket.png"}
    assert all("a device, a socket or a pipe" in sentence for sentence in source.refused.values())


def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"Cat.png": b"1", "cat.png": b"2"}))
    assert len(source.refused) == 1
    assert "same name on many systems" in next(iter(source.refused.values()))


def test_a_name_in_two_unicode_forms_is_refused(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"caf\u00e9.png": b"1", "cafe\u0301.png": b"2"}))
    assert len(source.refused) == 1


def test_a_name_is_found_in_its_composed_form(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"cafe\u0301/a.png": b"1"}))
    assert source.names() == ["caf\u00e9/a.png"]
    assert source.open("caf\u00e9/a.png") == b"1"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (b"a\\b.png", "backslash"),
        (b"C:cat.png", "absolute"),
        (b"a\nb.png", "control character U+000A"),
        (b"caf\xe9.png", "not valid UTF-8"),
        (b"photo\xe2\x80\xaegnp.exe", "control character U+202E"),
    ],
)
def test_unsafe_names_are_refused(tmp_path: Path, name: bytes, sentence: str) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    source = open_source(tmp_path)
    assert source.names() == []
    assert sentence in source.refused[os.fsdecode(name)]


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    folder(tmp_path, {"long/name.png": b"x", "deep/er/x": b"y"})
    source = FolderSource(tmp_path, Limits(max_path=7))
    assert set(source.refused) == {"long/name.png", "deep/er"}


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, {f"{number}.png": b"x" for number in range(4)})
    assert len(open_source(tmp_path, Limits(max_files=4)).names()) == 4
    with pytest.raises(ImportProblem, match="more than 3 files"):
        open_source(tmp_path, Limits(max_files=3))


def test_too_many_empty_folders_are_refused(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / str(number)).mkdir()
    with pytest.raises(ImportProblem, match="more than 3 files"):
        open_source(tmp_path, Limits(max_files=3))


def test_too_many_bytes_together_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, {"a": b"12345", "b": b"12345"})
    assert open_source(tmp_path, Limits(max_total_bytes=10)).names() == ["a", "b"]
    with pytest.raises(ImportProblem, match="larger than 9 bytes together"):
        open_source(tmp_path, Limits(max_total_bytes=9))


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"a": b"12345"}), Limits(max_file_bytes=4))
    with pytest.raises(ImportProblem, match="a: The file is larger than the limit of 4 bytes"):
        source.open("a")
    assert source.open("a", max_bytes=5) == b"12345"


def test_a_file_that_grew_after_the_listing_is_refused(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"a": b"1"}), Limits(max_file_bytes=4))
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(ImportProblem, match="larger than the limit of 4 bytes"):
        source.open("a")


def test_a_file_that_went_after_the_listing_is_refused(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"a": b"1"}))
    (tmp_path / "a").unlink()
    with pytest.raises(ImportProblem, match="a: The file cannot be read: No such file"):
        source.open("a")


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, {"locked/a": b"1", "b": b"2"})
    scan = os.scandir

    def locked(path: Path) -> object:  # the tests may run as root, whom no mode keeps out
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", locked)
    source = open_source(tmp_path)
    assert source.names() == ["b"]
    assert source.refused == {"locked/": "This folder cannot be read: Permission denied."}


@pytest.mark.parametrize("name", ["", "..", "../a", "/etc/passwd", "a/../a", "./a", "a\0b", "\\a", "missing"])
def test_names_that_are_not_listed_cannot_be_opened(tmp_path: Path, name: str) -> None:
    source = open_source(folder(tmp_path / "root", {"a": b"1"}))
    with pytest.raises(ImportProblem, match="no such file"):
        source.open(name)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match="missing: There is no such folder or zip file"):
        open_source(tmp_path / "missing")
    with pytest.raises(ImportProblem, match=r"no path|no such folder"):
        open_source(Path("a\0b"))
