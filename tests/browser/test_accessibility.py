"""Every panel in every state: axe-core finds nothing serious; what is disabled says why."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import ROOT, LabPage
from tools.shots import LONGEST_MS, SETTLES_MS, STATES, State, arrange, starts

pytestmark = pytest.mark.browser

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
HOW = "axe-core is not in node_modules: `make check` brings it there"
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
GRAVE = ("serious", "critical")
THEMED_MS = 500
"""Colours change at once; plots are drawn anew."""
RUN = """async (shown) => {
    const found = await axe.run(shown, { resultTypes: ["violations"] });
    return found.violations.flatMap(({ id, impact, nodes }) => nodes.map((node) => (
        { id, impact, html: node.html.slice(0, 200), why: node.failureSummary }
    )));
}"""

MUTE = """(shown) => [...shown.querySelectorAll("[disabled], [aria-disabled=true]")]
    .filter((own) => {
        const name = (own.getAttribute("aria-label") ?? own.textContent).trim();
        const why = own.closest("[title]")?.title.trim() ?? "";
        return own.checkVisibility() && (why === name || !/[^ ]+ .*[.]$/s.test(why));
    })
    .map((own) => `${own.outerHTML.slice(0, 200)}: ${own.closest("[title]")?.title}`)"""
"""Disabled controls that do not say why: in a sentence, and not only what they are called."""


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's script."""
    if not AXE.is_file():
        if os.environ.get("CI"):
            pytest.fail(HOW)
        pytest.skip(HOW)
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def home(axe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workbench with data and a model, and one with neither."""
    home = tmp_path_factory.mktemp("accessible")
    with ThreadPoolExecutor(1) as thread:  # Playwright has an event loop of its own in this one
        thread.submit(lambda: asyncio.run(arrange(home))).result()
    return home


# Three minutes: the first state of each panel at each change, the others at night.
FIRST = {state.panel: state for state in reversed(STATES)}.values()


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(
            state,
            id=f"{state.panel}-{state.name}",
            marks=() if state in FIRST else pytest.mark.nightly,
        )
        for state in STATES
    ],
)
def test_nothing_serious_is_found(
    open_lab_page: Callable[..., LabPage], home: Path, axe: str, state: State
) -> None:
    lab_page = open_lab_page(viewport={"width": 1440, "height": 1600})
    page = lab_page.page
    notebook = f"axe-{state.panel}-{state.name}.ipynb"
    lab_page.lab.write_notebook(notebook, starts(home), state.cell)
    lab_page.open_notebook(notebook)
    lab_page.run_all()
    shown = page.locator(".jp-Cell").nth(1).locator(".jp-OutputArea-output").last
    shown.wait_for(timeout=LONGEST_MS)
    page.wait_for_timeout(SETTLES_MS)
    state.act(page)
    assert shown.evaluate(MUTE) == []
    page.evaluate(axe)
    grave: list[dict[str, Any]] = []
    for theme in THEMES:
        lab_page.set_theme(theme)
        page.wait_for_timeout(THEMED_MS)
        found = shown.evaluate(RUN)
        grave += [{"theme": theme, **each} for each in found if each["impact"] in GRAVE]
    lab_page.set_theme(THEMES[0])
    assert grave == []
