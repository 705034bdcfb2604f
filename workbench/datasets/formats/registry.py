"""All formats that can be read. A new one is a module, an import and a line here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

from workbench.datasets.formats import (
    coco,
    createml,
    cvat,
    datumaro,
    fiftyone,
    imagefolder,
    keras_yolo,
    kitti_tracking,
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
from workbench.errors import ImportFormatError, WorkbenchError
from workbench.persistence.stored_json import MALFORMED

_SHOWN = 200


class Reader(Protocol):
    """What a format's module has."""

    TITLE: str

    @staticmethod
    def detect(view: FolderView) -> Detection:
        """Say how sure it is that there are files in this format, why, and which."""

    @staticmethod
    def read(view: FolderView, detection: Detection, options: Options) -> Reading:
        """Turn these files into records."""


@contextmanager
def making_sense(view: FolderView, name: str) -> Iterator[None]:
    """Run a reader; what it trips over in a stranger's file is an error that names the file.

    Readers say themselves what is wrong where they expect it. This is for what nobody has
    thought of: a number of 400 digits, a list in the place of a name.

    Raises
    ------
    ImportFormatError
    """
    try:
        yield
    except WorkbenchError:
        raise
    except MALFORMED as error:
        raise ImportFormatError(
            f"{view.path}: expected {READERS[name].TITLE}, found something that makes no sense "
            f"there ({type(error).__name__}: {str(error)[:_SHOWN]}); export it again"
        ) from error


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
        ("imagefolder", imagefolder),
        ("csv", tables),
        ("keras-yolo", keras_yolo),
        ("widerface", lists.widerface),
        ("mot", mot),
        ("kitti-tracking", kitti_tracking),
        ("dota", rows.dota),
        ("kitti", rows.kitti),
        ("oidv4", rows.oidv4),
        ("visdrone", rows.visdrone),
        ("yolo", yolo),
    )
}
"""Modules by the name of the format; the more particular come first."""
