"""The docs name code that exists, and every relative link leads somewhere."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "loadtest").rglob("*.md")),
]
PACKAGES = "audit|chaos|clients|demo|enrichlabs|harness|jobs|loadtest|tests|users|vendors|webhooks"
NAME = re.compile(rf"`((?:{PACKAGES})(?:\.\w+)+)(?:\(\))?`")
FILE = re.compile(rf"`((?:{PACKAGES}|deploy|docs|script)/[\w./-]*\w)`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
# Names of metrics, of checks and of files that the reader creates.
NOT_CODE = re.compile(
    r"vendors\.env|enrichlabs\.[EW]\d+|vendors\.toml|vendors\.acme\.\w+|jobs\.example\.com"
)


def by_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_name_of_code_exists(page):
    names = {name for name in NAME.findall(page.read_text()) if not NOT_CODE.fullmatch(name)}
    assert [name for name in sorted(names) if not exists(name)] == []


def exists(name: str) -> bool:
    """Return whether the dotted name is a module, or an attribute of one."""
    module, attributes = longest_module(name.split("."))
    for attribute in attributes:
        if not hasattr(module, attribute):
            return False
        module = getattr(module, attribute)
    return True


def longest_module(parts: list[str]) -> tuple[object, list[str]]:
    for count in range(len(parts), 0, -1):
        path = ".".join(parts[:count])
        try:
            is_module = find_spec(path) is not None
        except ModuleNotFoundError:
            continue
        if is_module:
            return import_module(path), parts[count:]
    raise AssertionError(f"{'.'.join(parts)} names no module")


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_named_file_exists(page):
    named = set(FILE.findall(page.read_text()))
    assert [
        name for name in sorted(named) if not list(ROOT.glob(name)) and not generated(name)
    ] == []


def generated(name: str) -> bool:
    return name.endswith((".env", "acme.py"))  # which the reader creates


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_relative_link_leads_to_a_page_and_a_heading(page):
    broken = [link for link in LINK.findall(page.read_text()) if not leads_somewhere(page, link)]
    assert broken == []


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
