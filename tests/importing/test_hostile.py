"""Whatever bytes or names come in, nothing goes out but an answer or this package's own error."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.importing.images import verify, view_copy
from annotation.importing.limits import Limits
from annotation.importing.manifest import parse_candidates, parse_cases
from annotation.importing.names import name_fault, normal, text_fault
from annotation.importing.plan import plan
from annotation.importing.problems import ImportProblem, Problems, printable
from annotation.importing.source import open_source
from tests.importing.make import TASKS, case, encode, jsonl, pixels, zip_info

SMALL = Limits(max_pixels=100_000, max_file_bytes=1_000_000)
IMAGES = [
    encode(pixels(), "PNG"),
    encode(pixels().quantize(8), "PNG"),
    encode(pixels(), "JPEG"),
    encode(pixels(), "JPEG", progressive=True),
    encode(pixels().convert("CMYK"), "JPEG"),
    encode(pixels(), "WEBP"),
    encode(pixels(), "WEBP", lossless=True),
    encode(pixels(), "WEBP", save_all=True, append_images=[pixels(seed=1)]),
]

parts = st.sampled_from(["..", ".", "", "a", "sub", "C:", "secret.txt", "link", "\\", "\0", "~", "a\\..", "․․", "．．"])
names = st.one_of(st.text(max_size=30), st.lists(parts, max_size=6).map("/".join))


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole`` with some bytes overwritten, then cut or lengthened."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + 4] = draw(st.binary(min_size=1, max_size=4))
    end = draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    return bytes(data[:end]) + draw(st.binary(max_size=8))


def check_image(data: bytes) -> None:
    try:
        image = verify(data, SMALL)
    except ImportProblem:
        with pytest.raises(ImportProblem):
            view_copy(data, limits=SMALL)
    else:
        copy = view_copy(data, limits=SMALL)
        assert (copy.width, copy.height) == (image.width, image.height)


@given(st.binary(max_size=500))
def test_any_bytes_are_an_image_or_refused(data: bytes) -> None:
    check_image(data)


@settings(deadline=None, max_examples=300)
@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.sampled_from(IMAGES).flatmap(damaged))
def test_any_damaged_image_is_an_image_or_refused(data: bytes) -> None:
    check_image(data)


@given(names)
def test_a_name_that_is_allowed_stays_inside(name: str) -> None:
    if name_fault(name, 400) is None:
        root = PurePosixPath("/import/root")
        assert PurePosixPath(os.path.normpath(root / name)).is_relative_to(root)
        assert not name.startswith("/")
        assert "\\" not in name
        assert "\0" not in name
        assert os.path.normpath(name) == name


@settings(deadline=None)
@given(names)
def test_no_name_opens_a_file_outside_the_folder(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        (root / "sub").mkdir(parents=True)
        (Path(folder) / "secret.txt").write_bytes(b"secret")
        (root / "a").write_bytes(b"inside")
        (root / "link").symlink_to(folder)
        source = open_source(root)
        assert source.names() == ["a"]
        try:
            assert source.open(name) == b"inside"
        except ImportProblem:
            assert name != "a"


@settings(deadline=None)
@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(
    st.lists(
        st.tuples(
            names.filter(lambda name: not text_fault(name.replace("\0", ""), lines=True)), st.binary(max_size=20)
        ),
        max_size=8,
    )
)
def test_whatever_a_zip_calls_its_files_they_have_safe_names_or_are_refused(entries: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.zip"
        with zipfile.ZipFile(path, "w") as file:
            for name, data in entries:
                file.writestr(zip_info(name), data)
        with open_source(path) as source:
            contents = {data for _, data in entries}
            for name in source.names():
                assert name_fault(name, 400) is None
                assert source.open(name) in contents
            for name, _ in entries:
                if name_fault(normal(name.removesuffix("/")), 400):
                    assert name in source.refused


@pytest.fixture(scope="module")
def archive() -> bytes:
    with tempfile.TemporaryFile() as out:
        with zipfile.ZipFile(out, "w") as file:
            file.writestr(zip_info("cases.jsonl"), jsonl([case(), case("two")]))
            file.writestr(zip_info("a.png"), IMAGES[0])
            file.writestr(zip_info("sub/stored.png"), IMAGES[2], zipfile.ZIP_STORED)
        out.seek(0)
        return out.read()


@settings(deadline=None, max_examples=300)
@pytest.mark.filterwarnings("ignore::UserWarning")
@given(data=st.data())
def test_any_damaged_zip_is_read_or_refused(archive: bytes, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.zip"
        path.write_bytes(data.draw(damaged(archive)))
        try:
            with open_source(path, SMALL) as source:
                assert plan(source, TASKS, limits=SMALL).problems is not None
                for name in source.names():
                    assert len(source.open(name)) <= SMALL.max_file_bytes
        except ImportProblem:
            pass  # refused, which is the other good answer


cells = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
columns = st.sampled_from(
    ["key", "source", "instruction", "task", "mask", "params", "split", "case", "editor", "file", "seed"]
)
json_rows = st.dictionaries(columns | st.text(max_size=5), cells, max_size=6).map(
    lambda row: json.dumps(row).encode() + b"\n"
)
csv_rows = st.lists(st.text('abc,"\n\r\0é;', max_size=6), max_size=12).map(lambda row: ",".join(row).encode() + b"\n")


def check_manifest(data: bytes, ending: str) -> None:
    problems = Problems(5)
    cases = parse_cases(data, f"cases.{ending}", TASKS, SMALL, problems)
    assert cases.rows or problems
    for row in cases.rows:
        assert row.key
        assert row.instruction.strip()
        assert row.task in TASKS
        assert row.split in {"train", "dev", "test", "bench"}
        assert name_fault(row.source, 400) is None
        assert row.key in cases.keys
    problems = Problems(5)
    candidates = parse_candidates(data, f"candidates.{ending}", SMALL, problems)
    assert candidates or problems
    for candidate in candidates:
        assert candidate.case
        assert 0 <= candidate.seed < 2**63
        assert name_fault(candidate.file, 400) is None
    for problem in problems:
        str(problem).encode()
        assert "\n" not in str(problem)


@given(st.binary(max_size=300), st.sampled_from(["jsonl", "csv"]))
def test_any_bytes_are_a_manifest_or_refused(data: bytes, ending: str) -> None:
    check_manifest(data, ending)


@given(st.lists(json_rows, min_size=1, max_size=4).map(b"".join))
def test_any_json_rows_are_read_or_refused(data: bytes) -> None:
    check_manifest(data, "jsonl")


@given(
    st.sampled_from([b"key,source,instruction,task,params\n", b"case,editor,file,seed\n"]),
    st.lists(csv_rows, max_size=4),
)
def test_any_csv_rows_are_read_or_refused(header: bytes, rows: list[bytes]) -> None:
    check_manifest(header + b"".join(rows), "csv")


@given(st.text(max_size=300))
def test_what_is_shown_can_always_be_stored(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert shown.isprintable()
    assert text_fault(shown) is None
