"""All formats that can be read. A new one is a module and a line here."""

from __future__ import annotations

from typing import Protocol, cast

from workbench.datasets.formats import coco, voc, yolo
from workbench.datasets.formats.items import Detection, Options, Reading
from workbench.datasets.formats.view import FolderView


class Reader(Protocol):
    """What a format's module has."""

    TITLE: str

    @staticmethod
    def detect(view: FolderView) -> Detection:
        """Say how sure it is that there are files in this format, why, and which."""

    @staticmethod
    def read(view: FolderView, detection: Detection, options: Options) -> Reading:
        """Turn these files into records."""


READERS: dict[str, Reader] = {
    name: cast(Reader, module)
    for name, module in (
        ("coco", coco),
        ("voc", voc),
        ("yolo", yolo),
    )
}
"""Modules by the name of the format; the more particular come first."""
