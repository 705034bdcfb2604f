"""The papers name what is there, and the built documentation stays on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import workbench
from tools.docs import fetched_from_elsewhere

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")}
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_public_name_has_its_place_in_the_reference() -> None:
    described = set(re.findall(r"auto(?:class|function):: (\S+)", "".join(PAGES.values())))
    public = {f"workbench.{name}" for name in workbench.__all__ if name != "__version__"}
    assert public - described == set()


@pytest.mark.parametrize("path", sorted(PAGES), ids=lambda path: path.name)
def test_every_page_can_be_reached(path: Path) -> None:
    listed = {
        (page.parent / entry.strip()).resolve()
        for page, text in PAGES.items()
        for block in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL)
        for entry in block.splitlines()
        if entry.strip() and not entry.startswith(":")
    }
    assert path == ROOT / "docs" / "index.md" or path.with_suffix("").resolve() in listed


def test_what_the_guide_for_contributors_names_is_there() -> None:
    named = set(re.findall(r"`((?:workbench|tests|tools|docs|benchmarks)/[^`\s]*)`", CONTRIBUTING))
    assert len(named) > 20
    missing = {name for name in named if "NAME" not in name and not (ROOT / name).exists()}
    assert missing == set()


def test_a_page_that_would_ask_another_machine_is_found(tmp_path: Path) -> None:
    (tmp_path / "fine.html").write_text(
        '<a href="https://example.org/">a link</a><script src="_static/own.js"></script>'
    )
    (tmp_path / "far.html").write_text('<script defer src="https://cdn.example.org/x.js"></script>')
    (tmp_path / "near.css").write_text("body { background: url(own.png) }")
    (tmp_path / "far.css").write_text("@import '//fonts.example.org/font.css';")
    assert fetched_from_elsewhere(tmp_path) == [
        ("far.html", "https://cdn.example.org/x.js"),
        ("far.css", "//fonts.example.org/font.css"),
    ]
