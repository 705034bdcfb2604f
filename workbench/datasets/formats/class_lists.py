"""Class names out of files of their own: ``classes.txt``, ``obj.names``, ``notes.json``, ..."""

from __future__ import annotations

import re
from typing import Any

from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.file_names import hidden
from workbench.datasets.formats.items import Reading
from workbench.datasets.formats.json_text import parse_json
from workbench.datasets.formats.view import FolderView
from workbench.errors import ArchiveError, ImportFormatError
from workbench.persistence.archive import parse_class_list
from workbench.persistence.archive.data_yaml import MAX_BYTES, MAX_CLASSES
from workbench.persistence.stored_json import MALFORMED

_CLASS_LISTS = frozenset(
    {"classes.txt", "_darknet.labels", "labels.txt", "predefined_classes.txt", "_classes.txt",
     "class.txt", "obj_names.txt", "label_map.txt"}
)  # fmt: skip
_OTHER_LISTS = frozenset(
    {"names.txt", "class_names.txt", "classnames.txt", "label.txt", "labelmap.txt",
     "categories.txt", "label_list.txt", "class_list.txt", "label_names.txt", "classes.csv"}
)  # fmt: skip
_ENDS = (*_CLASS_LISTS, ".names", ".labels")
_OTHER_ENDS = tuple(_OTHER_LISTS)
_BACKGROUND = ["background", "0,0,0"]
_PBTXT_ITEM = re.compile(r"item\s*\{([^{}]*)\}")
_PBTXT_ID = re.compile(r"\bid\s*:\s*(\d{1,6})")
_PBTXT_NAME = re.compile(r"\bname\s*:\s*[\"']([^\"'\n]+)[\"']")


def is_class_list(name: str) -> bool:
    """Whether a file is called as lists of classes are, and nothing else."""
    if not name.lower().endswith(_ENDS):  # so much for nearly all
        return False
    base = name[name.rfind("/") + 1 :].lower()
    return base in _CLASS_LISTS or base.endswith((".names", ".labels"))


def is_other_list(name: str) -> bool:
    """Whether a file is called as lists of classes are, and other lists as well."""
    low = name.lower()
    return low.endswith(_OTHER_ENDS) and low[low.rfind("/") + 1 :] in _OTHER_LISTS


def listed_classes(view: FolderView, reading: Reading) -> list[str]:
    """Return the classes of the first list that there is; none if there is none."""
    for name in view.names:
        if is_class_list(name) and not hidden(name):
            found, notes = parse_class_list(small_text(view, name), f"{view.path}, {name}")
            reading.used.add(name)
            reading.notes += [note.replace(f"{view.path}, ", "") for note in notes]
            return found
    return []


def from_labelmap(view: FolderView, reading: Reading) -> None:
    """Take class names in their order from a ``labelmap.txt``, as CVAT writes it beside VOC.

    ``name:colour:parts:actions`` in each line; CVAT's first one is the background, which is no
    class.
    """
    for name in view.names:
        if name.rpartition("/")[2].lower() != "labelmap.txt" or hidden(name):
            continue
        if view.size(name) > MAX_BYTES:
            continue
        lines = [line for line in small_text(view, name).decode().splitlines() if line.strip()]
        rows = [line.rsplit(":", 3) for line in lines if not line.startswith("#")]
        if rows and all(len(row) == 4 and row[0].strip() for row in rows):
            found = [" ".join(row[0].split()) for row in rows if row[:2] != _BACKGROUND]
            reading.classes += [one for one in dict.fromkeys(found) if one not in reading.classes]
            reading.declared = True
            reading.used.add(name)
            return


def from_other_list(view: FolderView, reading: Reading) -> bool:
    """Take class names from a list that is called in a way that other lists are called, too."""
    for name in view.names:
        base = name.rpartition("/")[2].lower()
        if is_other_list(name) and not hidden(name) and view.size(name) <= MAX_BYTES:
            found, notes = parse_class_list(small_text(view, name), f"{view.path}, {name}")
        elif base.endswith(".pbtxt") and view.size(name) <= MAX_BYTES:
            found, notes = from_pbtxt(small_text(view, name).decode()), []
        else:
            continue
        if found:
            reading.used.add(name)
            reading.notes += [note.replace(f"{view.path}, ", "") for note in notes]
            reading.classes[:] = found
            return True
    return False


def from_pbtxt(text: str) -> list[str]:
    """Return the names of a label map of TensorFlow, whose ids count from 1."""
    pairs = [
        (int(number[1]), name[1])
        for item in _PBTXT_ITEM.findall(text)
        if (number := _PBTXT_ID.search(item)) and (name := _PBTXT_NAME.search(item))
    ]
    return [name for _, name in sorted(pairs)]


def from_json(view: FolderView, reading: Reading) -> None:
    """Take the classes of Label Studio's ``notes.json``, or of a ``classes.json``."""
    for name in view.names:
        base = name.rpartition("/")[2].lower()
        if base not in ("notes.json", "classes.json", "names.json") or view.size(name) > MAX_BYTES:
            continue
        if found := json_classes(view.read(name), name):
            reading.used.add(name)
            reading.classes[:] = found
            return


def json_classes(data: bytes, name: str) -> list[str]:
    """Return the classes that a small JSON file lists by their ids; none if it has none."""
    try:
        names = _names_in(parse_json(data, name))
    except MALFORMED:
        return []
    if not names or min(names) < 0 or max(names) >= MAX_CLASSES:
        return []
    return [names.get(i) or f"class_{i}" for i in range(max(names) + 1)]


def _names_in(value: Any) -> dict[int, str]:
    """Return names of classes by their ids; raises one of `MALFORMED` if there are none."""
    if isinstance(value, dict) and isinstance(value.get("categories"), list):
        return {int(c["id"]): " ".join(str(c["name"]).split()) for c in value["categories"]}
    if isinstance(value, list):
        if value and all(isinstance(item, dict) for item in value):
            return {int(item["id"]): " ".join(str(item["name"]).split()) for item in value}
        return {number: " ".join(str(name).split()) for number, name in enumerate(value)}
    pairs = [(str(key), str(name)) for key, name in value.items()]
    if all(name.isdigit() for _, name in pairs):  # the other way round
        pairs = [(number, name) for name, number in pairs]
    return {int(number): " ".join(name.split()) for number, name in pairs}


def small_text(view: FolderView, name: str) -> bytes:
    """Return a small text file as UTF-8; raises `ArchiveError` if it is large, or no text."""
    if view.size(name) > MAX_BYTES:
        raise ArchiveError(
            f"{view.path}, {name}: expected a text file of at most {MAX_BYTES} bytes, found "
            f"{view.size(name)}; correct it, or leave it out"
        )
    try:
        return decode(view.read(name)).encode()
    except ImportFormatError as error:
        raise ArchiveError(f"{view.path}, {name}: {error}") from error
