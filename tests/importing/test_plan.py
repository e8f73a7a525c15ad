"""The plan of an import: everything that is wrong, before a single image is decoded."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from annotation.importing.images import verify
from annotation.importing.limits import Limits
from annotation.importing.plan import ImportPlan, Reference, check_file, check_mask, plan
from annotation.importing.problems import ImportProblem
from annotation.importing.source import open_source
from tests.importing.make import TASKS, candidate, case, encode, folder, jsonl, pixels, png, zipped


def planned(
    root: Path, files: dict[str, bytes], existing: frozenset[str] = frozenset(), limits: Limits | None = None
) -> tuple[ImportPlan, list[str]]:
    limits = limits or Limits()
    with open_source(folder(root, files), limits) as source:
        made = plan(source, TASKS, existing, limits)
    return made, [str(problem) for problem in made.problems]


def only(problems: list[str]) -> str:
    assert len(problems) == 1, problems
    return problems[0]


FILES = {"a.png": png(), "b.png": png(seed=1), "m.png": encode(pixels().convert("L")), "extra.txt": b"not used"}


def test_it_works(tmp_path: Path) -> None:
    rows = [case("one", mask="m.png"), case("two", source="b.png"), case("three")]
    made, problems = planned(
        tmp_path, FILES | {"cases.jsonl": jsonl(rows), "candidates.jsonl": jsonl([candidate("one"), candidate("two")])}
    )
    assert made.ok
    assert not problems
    assert [row.key for row in made.cases] == ["one", "two", "three"]
    assert [row.case for row in made.candidates] == ["one", "two"]
    assert made.files == ("a.png", "m.png", "b.png")
    assert made.references["a.png"] == (Reference("cases.jsonl", 1, "source"), Reference("cases.jsonl", 3, "source"))
    assert made.references["b.png"][1:] == (
        Reference("candidates.jsonl", 1, "file"),
        Reference("candidates.jsonl", 2, "file"),
    )


def test_the_same_plan_comes_of_a_zip(tmp_path: Path) -> None:
    files = FILES | {"cases.csv": b"key,source,instruction,task\none,a.png,Remove it.,remove\n"}
    path = zipped(tmp_path / "set.zip", [(f"set/{name}", data) for name, data in files.items()])
    with open_source(path) as source:
        from_zip = plan(source, TASKS)
    from_folder, _ = planned(tmp_path / "set", files)
    assert from_zip.ok
    assert (from_zip.cases, from_zip.files) == (from_folder.cases, from_folder.files)


def test_candidates_alone_may_join_cases_of_the_data_set(tmp_path: Path) -> None:
    made, problems = planned(tmp_path, FILES | {"candidates.jsonl": jsonl([candidate("old")])}, frozenset({"old"}))
    assert not problems
    assert made.files == ("b.png",)


def test_a_candidate_of_no_case_is_refused(tmp_path: Path) -> None:
    rows = {"cases.jsonl": jsonl([case()]), "candidates.jsonl": jsonl([candidate(), candidate("tow", seed=1)])}
    assert only(planned(tmp_path, FILES | rows)[1]) == (
        "candidates.jsonl, line 2, case: The case “tow” is neither in the manifest nor in the data set."
    )


def test_a_candidate_of_a_case_with_another_problem_is_not_blamed(tmp_path: Path) -> None:
    rows = {"cases.jsonl": jsonl([case(task="x")]), "candidates.jsonl": jsonl([candidate()])}
    assert only(planned(tmp_path, FILES | rows)[1]).startswith("cases.jsonl, line 1, task")


@pytest.mark.parametrize("cases", [b"{\n", b"\xff\xfe"])
def test_a_candidate_is_not_blamed_where_cases_could_not_be_read(tmp_path: Path, cases: bytes) -> None:
    rows = {"cases.jsonl": cases, "candidates.jsonl": jsonl([candidate()])}
    assert only(planned(tmp_path, FILES | rows)[1]).startswith("cases.jsonl")


def test_keys_of_the_data_set_are_refused_by_line(tmp_path: Path) -> None:
    rows = jsonl([case("one"), case("two")])
    made, problems = planned(tmp_path, FILES | {"cases.jsonl": rows}, frozenset({"two"}))
    assert only(problems) == "cases.jsonl, line 2, key: The key “two” is already in the data set."
    assert not made.ok


def test_the_same_file_twice_under_one_editor_is_refused(tmp_path: Path) -> None:
    rows = jsonl([candidate(), candidate(seed=1), candidate(editor="other"), candidate("two")])
    cases = jsonl([case("one"), case("two")])
    _, problems = planned(tmp_path, FILES | {"cases.jsonl": cases, "candidates.jsonl": rows})
    assert only(problems) == "candidates.jsonl, line 2, file: Line 1 has this file for the same case and editor."


def test_a_row_that_is_there_twice_is_refused_once(tmp_path: Path) -> None:
    files = FILES | {"cases.jsonl": jsonl([case()]), "candidates.jsonl": jsonl([candidate(), candidate()])}
    assert only(planned(tmp_path, files)[1]).startswith("candidates.jsonl, line 2, file: Line 1 has this file")


def test_the_same_seed_and_settings_twice_are_refused(tmp_path: Path) -> None:
    first = candidate(seed=3, settings={"a": 1, "b": 2})
    rows = [first, first | {"file": "a.png", "settings": {"b": 2, "a": 1}}, first | {"file": "m.png", "settings": {}}]
    _, problems = planned(tmp_path, FILES | {"cases.jsonl": jsonl([case()]), "candidates.jsonl": jsonl(rows)})
    assert only(problems) == (
        "candidates.jsonl, line 2, seed: Line 1 has the same case, editor, seed and settings. "
        "Give each candidate its own seed."
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.png", "“missing.png”: There is no such file in the import."),
        ("A.PNG", "“A.PNG”: There is no such file; there is “a.png”. Small and capital letters count."),
        ("link.png", "“link.png”: This file is refused. This is a symbolic link."),
        ("empty.png", "“empty.png”: The file is empty."),
        ("large.png", "“large.png”: The file has 2,000 bytes; the limit is 1,999."),
    ],
)
@pytest.mark.parametrize("field", ["source", "mask", "file"])
def test_files_that_are_not_there_are_refused_by_line(tmp_path: Path, name: str, sentence: str, field: str) -> None:
    rows = {"cases.jsonl": jsonl([case() if field == "file" else case(**{field: name})])}
    if field == "file":
        rows["candidates.jsonl"] = jsonl([candidate(file=name)])
    files = FILES | rows | {"empty.png": b"", "large.png": bytes(2000)}
    folder(tmp_path, files)
    (tmp_path / "link.png").symlink_to("a.png")
    _, problems = planned(tmp_path, files, limits=Limits(max_file_bytes=1999))
    manifest = "candidates.jsonl" if field == "file" else "cases.jsonl"
    found = [text for text in problems if text.startswith(f"{manifest}, line 1, {field}: {sentence}")]
    assert len(found) == 1, problems
    # The link is refused in itself, whether or not a row names it.
    assert sum(text.startswith("link.png: This is a symbolic link.") for text in problems) == 1


def test_a_missing_file_is_named_for_every_line(tmp_path: Path) -> None:
    _, problems = planned(tmp_path, {"cases.jsonl": jsonl([case("one"), case("two")])})
    assert [text[:29] for text in problems] == ["cases.jsonl, line 1, source: ", "cases.jsonl, line 2, source: "]


def test_a_refused_name_in_a_zip_refuses_the_import(tmp_path: Path) -> None:
    entries = [("cases.jsonl", jsonl([case()])), ("a.png", png()), ("../../x\x1b", b"")]
    with open_source(zipped(tmp_path / "set.zip", entries)) as source:
        made = plan(source, TASKS)
    assert only([str(problem) for problem in made.problems]).startswith(
        "../../x\\x1b: This holds the control character"
    )


def test_a_manifest_must_be_there(tmp_path: Path) -> None:
    _, problems = planned(tmp_path / "set", FILES | {"x/y/Cases.csv": b"", "z/a": b""})
    assert only(problems) == (
        "set: There is no manifest: cases.jsonl, cases.csv, candidates.jsonl or candidates.csv must lie at the top. "
        "“x/y/Cases.csv” does not count."
    )
    assert only(planned(tmp_path / "none", {"z/a": b""})[1]).endswith("must lie at the top.")


@pytest.mark.parametrize("table", ["cases", "candidates"])
def test_two_manifests_of_one_table_are_refused(tmp_path: Path, table: str) -> None:
    files = FILES | {"cases.csv": b"key,source,instruction,task\none,a.png,x,add\n"}
    files |= {"candidates.csv": b"case,editor,file\none,x,b.png\n", f"{table}.jsonl": b"{}"}
    _, problems = planned(tmp_path / "set", files)
    assert only(problems) == f"set: There are both {table}.jsonl and {table}.csv. Keep one of them."


def test_a_manifest_that_is_too_large_is_refused(tmp_path: Path) -> None:
    limits = Limits(max_manifest_bytes=20)
    _, problems = planned(tmp_path, FILES | {"cases.jsonl": jsonl([case()])}, limits=limits)
    assert only(problems) == "cases.jsonl: The file is larger than the limit of 20 bytes."


def test_a_manifest_may_be_larger_than_an_image(tmp_path: Path) -> None:
    data = jsonl(case(str(number)) for number in range(100))
    made, _ = planned(tmp_path, FILES | {"cases.jsonl": data}, limits=Limits(max_file_bytes=len(data) - 1))
    assert made.ok


def test_all_problems_are_counted(tmp_path: Path) -> None:
    rows = jsonl(case(str(number), source=f"{number}.png") for number in range(500))
    made, problems = planned(tmp_path, {"cases.jsonl": rows})
    assert len(problems) == 100
    assert made.problems.total == 500


def test_a_file_is_checked_and_its_bytes_are_given(tmp_path: Path) -> None:
    made, _ = planned(tmp_path, FILES | {"cases.jsonl": jsonl([case()])})
    with open_source(tmp_path) as source:
        image, data = check_file(made, source, "a.png")
    assert data == FILES["a.png"]
    assert image == verify(data)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"text", "This is not an image that can be read. Use PNG, JPEG or WebP."),
        (png()[:100], "The PNG image is damaged or cut short. Export or copy it again."),
        (zipfile.ZipFile.__doc__.encode(), "This is not an image that can be read."),  # type: ignore[union-attr]
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_lines_that_name_it(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    files = {"a.png": data, "cases.jsonl": jsonl([case("one"), case("two")])}
    made, problems = planned(tmp_path, files | {"candidates.jsonl": jsonl([candidate(file="a.png")])})
    assert not problems
    with open_source(tmp_path) as source, pytest.raises(ImportProblem) as caught:
        check_file(made, source, "a.png")
    assert str(caught.value).startswith(f"a.png: {sentence}")
    assert str(caught.value).endswith("It is named in cases.jsonl line 1, cases.jsonl line 2, candidates.jsonl line 1.")


def test_a_file_named_by_very_many_lines_names_the_first(tmp_path: Path) -> None:
    files = {"a.png": b"x", "cases.jsonl": jsonl(case(str(number)) for number in range(1, 2000))}
    made, _ = planned(tmp_path, files)
    with open_source(tmp_path) as source, pytest.raises(ImportProblem, match=r"cases\.jsonl line 5 and 1,994 more"):
        check_file(made, source, "a.png")


def test_a_file_that_went_is_refused_with_its_lines(tmp_path: Path) -> None:
    made, _ = planned(tmp_path, FILES | {"cases.jsonl": jsonl([case()])})
    with open_source(tmp_path) as source:
        (tmp_path / "a.png").unlink()
        with pytest.raises(ImportProblem, match=r"a.png: The file cannot be read: .* named in cases.jsonl line 1"):
            check_file(made, source, "a.png")


def masked(tmp_path: Path, mask: Image.Image) -> None:
    """Plan and check a case whose source image has 24 by 16 pixels."""
    files = {"a.png": png(24, 16), "m.png": encode(mask)}
    rows = {"cases.jsonl": jsonl([case("zero"), case(mask="m.png")]), "candidates.jsonl": jsonl([])}
    rows["candidates.jsonl"] = jsonl([candidate("zero", file="m.png"), candidate("one", file="m.png", seed=1)])
    made, _ = planned(tmp_path, files | rows)
    with open_source(tmp_path) as source:
        check_mask(made, made.cases[1], check_file(made, source, "a.png")[0], check_file(made, source, "m.png")[0])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_a_mask_in_black_and_white_fits(tmp_path: Path, mode: str) -> None:
    masked(tmp_path, Image.new("L", (24, 16), 255).convert(mode))


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (Image.new("L", (16, 24)), "The mask has 16 × 24 pixels, its source image 24 × 16. They must have the same"),
        (Image.new("L", (24, 17)), "The mask has 24 × 17 pixels, its source image 24 × 16."),
        (Image.new("RGB", (24, 16), "red"), "The mask is in colour. Save it in greyscale"),
        (Image.new("LA", (24, 16), (255, 0)), "The mask is partly transparent."),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_by_line(tmp_path: Path, mask: Image.Image, sentence: str) -> None:
    with pytest.raises(ImportProblem) as caught:
        masked(tmp_path, mask)
    assert str(caught.value).startswith(f"cases.jsonl, line 2, mask: “m.png”: {sentence}")


def test_a_source_image_as_its_own_mask_is_refused_as_the_mask(tmp_path: Path) -> None:
    made, _ = planned(tmp_path, {"a.png": png(), "cases.jsonl": jsonl([case(mask="a.png")])})
    image = verify(png())
    with pytest.raises(ImportProblem, match=r"^cases\.jsonl, line 1, mask: “a\.png”: The mask is in colour"):
        check_mask(made, made.cases[0], image, image)


def test_a_large_import_is_not_held_in_memory(tmp_path: Path) -> None:
    count, size = 4_000, 25_000
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("cases.jsonl", jsonl(case(str(number), source=f"images/{number}.png") for number in range(count)))
        for number in range(count):
            file.writestr(f"images/{number}.png", bytes(size))
    tracemalloc.start()
    try:
        with open_source(path) as source:
            made = plan(source, TASKS)
            assert made.ok
            assert len(made.files) == count
            for name in made.files[:500]:
                with pytest.raises(ImportProblem, match="not an image"):
                    check_file(made, source, name)
        assert tracemalloc.get_traced_memory()[1] < count * size / 2
    finally:
        tracemalloc.stop()
