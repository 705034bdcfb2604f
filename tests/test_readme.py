"""What the README shows is run, so that it stays true."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from workbench.persistence import set_stores

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


async def test_the_examples_of_the_stores_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    try:
        for block in blocks:
            code = compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            running = eval(code, names)
            if inspect.isawaitable(running):
                await running
        active_of_readme = await names["mdl"].get_active()
    finally:
        set_stores(None)
    assert len(blocks) >= 7
    assert (tmp_path / "data/my_dataset/labels/val/frame_001.txt").read_bytes() == (
        b"0 0.45000000 0.50000000 0.30000000 0.60000000\n"
    )
    assert names["active"].best_map50 == 0.87
    assert active_of_readme is None, "a reader who tried it is left with weights that are none"


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
