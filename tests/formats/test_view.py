"""What a folder that is looked at by all formats is not asked for twice."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import folder
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


def test_what_is_kept_of_many_small_files_is_not_counted_anew_for_each(tmp_path: Path) -> None:
    """Else 100,000 files of LabelMe take hours to look at."""
    names = [f"{number}.json" for number in range(50)]
    view = FolderView.open(folder(tmp_path, dict.fromkeys(names, b"{}")))

    class Counted(OrderedDict[str, tuple[int, Any]]):
        looked = 0

        def values(self) -> Any:
            Counted.looked += len(self)
            return super().values()

    view._parsed = Counted()
    for name in names:
        assert view.json(name) == {}
    assert (len(view._parsed), Counted.looked) == (50, 0)


def test_the_oldest_of_what_is_kept_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "_CACHE_BYTES", 25)
    view = FolderView.open(folder(tmp_path, {f"{name}.json": b'"12345678"' for name in "abc"}))
    for name in "abac":
        view.json(f"{name}.json")
    assert list(view._parsed) == ["a.json", "c.json"]
    view.forget()
    for name in "bc":
        view.json(f"{name}.json")
    assert list(view._parsed) == ["b.json", "c.json"]
