"""Controls that cannot be used now: each says why, so there is one way to disable one."""

from __future__ import annotations

import re
from pathlib import Path

import ipywidgets as w
import pytest

from workbench import panels
from workbench.panels.shared.parts import allow

PANELS = Path(panels.__file__).parent
ONE_WAY = {
    ".py": ({"shared/parts.py"}, re.compile(r"\.disabled\s*=|\bdisabled=")),
    ".mjs": (
        {"shared/static/dom.mjs", "capture/static/controls.mjs"},  # the second sets both, in a row
        re.compile(r"\.disabled\s*=(?!=)|\bdisabled:|\"aria-disabled\","),
    ),
}


@pytest.mark.parametrize("suffix", ONE_WAY)
def test_nothing_is_disabled_without_a_reason(suffix: str) -> None:
    allowed, disables = ONE_WAY[suffix]
    found = {
        path.relative_to(PANELS).as_posix(): line.strip()
        for path in PANELS.rglob(f"*{suffix}")
        for line in path.read_text(encoding="utf-8").splitlines()
        if disables.search(line)
    }
    assert set(found) - allowed == set(), found
    assert found, "the expression finds none any more"


def test_a_reason_disables_and_is_said() -> None:
    button = w.Button(description="Go")
    allow(button, "Choose a dataset first.", "Go there")
    assert (button.disabled, button.tooltip) == (True, "Choose a dataset first.")
    allow(button, "", "Go there")
    assert (button.disabled, button.tooltip) == (False, "Go there")
