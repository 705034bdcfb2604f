"""What a folder that is looked at by all formats is not asked for twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.datasets.formats import view as viewing
from workbench.datasets.formats.view import FolderView
from workbench.errors import ImportFormatError


def test_a_damaged_json_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_bytes(b" " * 1000 + b"{")
    read: list[str] = []
    parse = viewing.parse_json

    def counting(data: bytes, where: str) -> object:
        read.append(where)
        return parse(data, where)

    monkeypatch.setattr(viewing, "parse_json", counting)
    with FolderView.open(tmp_path, may_be_bare=True) as view:
        for _ in range(3):
            with pytest.raises(ImportFormatError, match=r"a\.json"):
                view.json("a.json")
    assert len(read) == 1
