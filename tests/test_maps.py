"""The READMEs lead to the right places: their maps, links, make targets and tests."""

import re
from pathlib import Path

import pytest

from microdps_tools import CHECKOUT

# The folders that have a README of their own.
FOLDERS = (
    "boards",
    "firmware",
    "host_tools",
    "host_tools/simulator",
    "host_tools/virtual_board",
    "tests",
)

READMES = [
    path
    for path in sorted(CHECKOUT.glob("**/README.md"))
    if not re.search(r"(^|/)(\.|build/|node_modules/)", str(path.relative_to(CHECKOUT)))
]
PAGES = [*READMES, CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "CHANGELOG.md"]


def test_each_folder_of_the_house_has_a_readme():
    for folder in ("", *FOLDERS):
        assert CHECKOUT / folder / "README.md" in READMES


def files_of(folder: str) -> list[str]:
    """The files of a folder, and of those below it that have no README of their own."""
    others = [one.removeprefix(f"{folder}/") for one in FOLDERS if one.startswith(f"{folder}/")]
    names = [
        path.relative_to(CHECKOUT / folder).as_posix()
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file()
    ]
    return [
        name
        for name in names
        if not re.search(r"(^|/)(\.|__pycache__/|node_modules/)", name)
        and not any(name.startswith(f"{other}/") for other in others)
    ]


def answers(folder: str) -> set[str]:
    """The files and folders in the map of a README: in backquotes, in the last column."""
    text = (CHECKOUT / folder / "README.md").read_text()
    table = text.split("\n## Which file for which question\n")[1].split("\n## ")[0]
    cells = re.findall(r"\| ([^|]+) \|$", table, re.MULTILINE)
    return set(re.findall(r"`([\w./-]+(?:\.\w+|/))`", " ".join(cells)))


@pytest.mark.parametrize("folder", FOLDERS)
def test_map_of_a_folder_leads_to_each_of_its_files(folder):
    """A file counts if its own name or one of its folders is in the map."""
    named = answers(folder)
    files = files_of(folder)
    assert files
    missing = []
    for path in map(Path, files):
        ways = {path.as_posix(), path.name, *(f"{one.as_posix()}/" for one in path.parents)}
        if path.name not in ("README.md", "__init__.py") and not named & ways:
            missing.append(path.as_posix())
    assert missing == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_map_of_a_folder_names_only_what_is_there(folder):
    files = files_of(folder)
    for place in answers(folder):
        if place.endswith("/"):
            assert (CHECKOUT / folder / place).is_dir(), place
        else:
            assert any(f"/{name}".endswith(f"/{place}") for name in files), place


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target


def anchor(heading: str) -> str:
    """The anchor of a heading, as the page of a code host makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_to_headings(path):
    for target, name in re.findall(r"\]\(([^):#]*)#([^)]+)\)", path.read_text()):
        text = (path.parent / target if target else path).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert name in map(anchor, headings), f"{target}#{name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_make_targets_exist(path):
    makefile = (CHECKOUT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", path.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_tests_that_contributing_names_exist():
    for line in re.findall(
        r"`pytest (?:-q )?([^`]+)`", (CHECKOUT / "CONTRIBUTING.md").read_text()
    ):
        for name in line.split():
            assert (CHECKOUT / name).exists(), name
