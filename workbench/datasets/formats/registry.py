"""All formats that can be read. A new one is a module, an import and a line here."""

from __future__ import annotations

from typing import Protocol, cast

from workbench.datasets.formats import (
    coco,
    createml,
    cvat,
    datumaro,
    fiftyone,
    keras_yolo,
    labelme,
    labelstudio,
    lists,
    mot,
    ndjson,
    rows,
    supervisely,
    tables,
    via,
    voc,
    vott,
    yolo,
)
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
        ("cvat", cvat),
        ("labelstudio", labelstudio),
        ("labelme", labelme),
        ("createml", createml),
        ("via", via),
        ("vott", vott),
        ("datumaro", datumaro),
        ("fiftyone", fiftyone),
        ("supervisely", supervisely),
        ("bdd100k", lists.bdd100k),
        ("sa1b", lists.sa1b),
        ("ndjson", ndjson),
        ("csv", tables),
        ("keras-yolo", keras_yolo),
        ("widerface", lists.widerface),
        ("mot", mot),
        ("dota", rows.dota),
        ("kitti", rows.kitti),
        ("oidv4", rows.oidv4),
        ("yolo", yolo),
    )
}
"""Modules by the name of the format; the more particular come first."""
