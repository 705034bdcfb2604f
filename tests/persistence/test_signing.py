"""The key that signs what is said of this machine is made once, and kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.persistence import signing


def refused(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("has_links", [True, False], ids=["links", "no hard links"])
def test_the_key_is_kept_whatever_the_file_system_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if not has_links:
        monkeypatch.setattr(os, "link", refused)
    before = signing.signature("a run")
    monkeypatch.setattr(signing, "_ONLY_NOW", b"of another process")
    assert signing.signature("a run") == before
    assert [path.name for path in (tmp_path / "workbench").iterdir()] == ["signing.key"]
