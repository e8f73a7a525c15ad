"""Every direct dependency has a reason and a licence on docs/dependencies.md; nothing under the GPL is installed."""

import re
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements"
PAGE = (ROOT / "docs" / "dependencies.md").read_text()
ROW = re.compile(r"^\| (?P<name>[\w.-]+) \| (?P<reason>[^|]+) \| (?P<licence>[^|]+) \|$", re.MULTILINE)
HEADINGS = {"web": "Program", "demo": "Demo", "gpu": "GPU queue", "tracking": "Curves elsewhere", "dev": "Development"}
# What the page says, and words by which a package's own metadata says the same.
WORDS = {
    "Apache-2.0": ("apache",),
    "Apache-2.0 or BSD-3-Clause": ("apache", "bsd"),
    "Apache-2.0 or MIT": ("apache", "mit"),
    "BSD-2-Clause": ("bsd",),
    "BSD-3-Clause": ("bsd",),
    "LGPL-3.0-only": ("lgpl",),
    "MIT": ("mit",),
    "MIT-CMU": ("mit-cmu",),
    "MPL-2.0": ("mpl",),
}
PACKAGES = ("webapp", "annotation", "scoring", "training", "drawnworld", "scripts")
MODULES = {
    "django-allauth": "allauth",
    "djangorestframework": "rest_framework",
    "pillow": "PIL",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}
BY_NAME = {"httptools", "uvloop"}  # uvicorn takes them when they are there
LGPL = {"psycopg", "psycopg-binary"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(kind: str) -> set[str]:
    lines = (REQUIREMENTS / f"{kind}.in").read_text().splitlines()
    return {normal(re.split(r"[\[<>=~ ]", line)[0]) for line in lines if line and line[0] not in "#-"}


def locked(kind: str) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==([\w.+-]+)", (REQUIREMENTS / f"{kind}.txt").read_text(), re.MULTILINE)
    return {normal(name): version for name, version in pins}


def rows(kind: str) -> dict[str, re.Match[str]]:
    section = PAGE.split(f"## {HEADINGS[kind]} (", 1)[1].split("\n## ", 1)[0]
    return {normal(row["name"]): row for row in ROW.finditer(section) if row["name"] != "package"}


def licence(package: str) -> str:
    """All that the installed package says about its licence in few words, in lower case; empty if not installed."""
    try:
        about = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return ""
    classifiers = [line for line in about.get_all("Classifier", []) if line.startswith("License")]
    first_line = (about.get("License") or "").strip().split("\n")[0]
    return " ".join([about.get("License-Expression") or "", first_line, *classifiers]).lower()


DIRECT = [(kind, name) for kind in HEADINGS for name in sorted(direct(kind))]
LOCKED = sorted({name for kind in HEADINGS for name in locked(kind)})


@pytest.mark.parametrize("kind", HEADINGS)
def test_the_page_lists_what_is_required_and_nothing_else(kind: str) -> None:
    assert set(rows(kind)) == direct(kind)


@pytest.mark.parametrize("kind", HEADINGS)
def test_what_is_required_is_pinned(kind: str) -> None:
    assert direct(kind) <= set(locked(kind))


@pytest.mark.parametrize(("kind", "name"), DIRECT)
def test_the_stated_licence_is_the_package_s_own(kind: str, name: str) -> None:
    stated = rows(kind)[name]["licence"].strip()
    own = licence(name)
    if not own:
        pytest.skip(f"{name} is not installed here")
    assert any(word in own for word in WORDS[stated]), f"{name} says: {own}"


@pytest.mark.parametrize("name", LOCKED)
def test_nothing_is_under_the_gpl(name: str) -> None:
    own = licence(name)
    assert "agpl" not in own
    assert not re.search(r"(?<!l)gpl|general public", own.replace("lesser general public", "lgpl")) or name in LGPL
    assert "lgpl" not in own or name in LGPL


def test_the_lock_files_agree() -> None:
    pins: dict[str, set[str]] = {}
    for kind in HEADINGS:
        for name, version in locked(kind).items():
            pins.setdefault(name, set()).add(version)
    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}


def test_nothing_is_required_that_nobody_uses() -> None:
    sources = [path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")]
    text = "\n".join(path.read_text() for path in sources)
    modules = {name: MODULES.get(name, normal(name).replace("-", "_")) for name in direct("web") | direct("demo")}
    unused = {name for name, module in modules.items() if not re.search(rf"[\s\"']{module}\b", text)}
    assert unused == BY_NAME


def test_torch_is_for_the_gpu_queue_alone() -> None:
    assert locked("gpu")["torch"] == "2.13.0"
    for kind in ("web", "demo", "dev", "tracking"):
        assert not {"torch", "torchvision", "transformers", "diffusers"} & set(locked(kind))
