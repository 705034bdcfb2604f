"""The splits that a dataset's own files give to its pictures, whatever the format of its boxes."""

from __future__ import annotations

from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.view import FolderView
from workbench.errors import ImportFormatError
from workbench.persistence.archive.split_lists import GivenSplits, find_splits

_LIST_BYTES = 2**26
_TELLING = (".yaml", ".yml", ".data", ".txt")


def given_splits(view: FolderView) -> GivenSplits:
    """Return what ``data.yaml``, ``obj.data`` and lists such as ``train.txt`` say; read once."""
    return view.once(_find)


def _find(view: FolderView) -> GivenSplits:
    def read_text(name: str) -> bytes:
        if view.size(name) > _LIST_BYTES:
            return b""
        try:
            return decode(view.read(name)).encode()
        except ImportFormatError:
            return b""

    return find_splits(view.others(_TELLING), view.pictures, read_text)
