"""The documentation names what exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SOURCES = "\n".join(
    path.read_text()
    for folder in ("webapp", "annotation", "scoring", "training", "scripts", "docker")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".yaml", ".Dockerfile", ".conf")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", page.read_text())
    local = [target for target in targets if not target.startswith(("http:", "https:"))]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"`make ([a-z]+)", page.read_text())) | set(
        re.findall(r"^    make ([a-z]+)", page.read_text(), re.M)
    )
    assert used <= targets


def test_every_setting_is_documented() -> None:
    """Each EDITLOOP_ variable that the program reads stands in docs/deployment.md."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    documented = set(re.findall(r"EDITLOOP_[A-Z_]+", page))
    documented |= {f"EDITLOOP_OIDC{rest}" for rest in re.findall(r"_(?:CLIENT|SECRET|NAME)\b", page)}
    read = set(re.findall(r"[\"'{](EDITLOOP_[A-Z_]+)\b", SOURCES))
    assert read - documented == set()
    assert len(read) > 10


def test_the_readme_maps_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme] == []
