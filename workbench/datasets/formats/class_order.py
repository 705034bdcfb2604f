"""The order of classes that annotations call by name: from a list beside them, if there is one.

In Pascal VOC, LabelMe, tables and others each box has the name of its class, and the order, which
training turns into numbers, is nowhere but in a ``classes.txt``, ``labels.txt``, ``data.yaml`` or
``label_map.pbtxt`` that lies with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from workbench.datasets.formats.class_lists import (
    from_pbtxt,
    is_class_list,
    is_other_list,
    json_classes,
    small_text,
)
from workbench.datasets.formats.items import Reading
from workbench.datasets.formats.view import FolderView
from workbench.errors import ArchiveError
from workbench.persistence.archive import parse_class_list, parse_data_yaml
from workbench.persistence.archive.data_yaml import MAX_BYTES

# What stands in lists and is the class of no box.
_NO_CLASSES = frozenset({"__ignore__", "_background_", "__background__", "background"})
# labelImg comes with one of twenty names, to which people add their own.
_OFFERED = "predefined_classes.txt"
_COLUMNS = 2
_KINDS = (".txt", ".names", ".labels", ".yaml", ".yml", ".pbtxt", ".csv")
_JSON = ("notes.json", "classes.json")
_MORE = frozenset({"classes.csv", "_classes.csv", "class.csv", *_JSON})


def take_order(view: FolderView, reading: Reading, labels: Collection[str]) -> None:
    """Take classes in the order of the first list that has the name of every box.

    Nothing happens where the format itself says the order.

    Parameters
    ----------
    view : FolderView
    reading : Reading
        Its records have been read.
    labels : collection of str
        The classes of all boxes.
    """
    if reading.declared or not labels:
        return
    needed = {*labels, *reading.classes}
    chosen: list[str] = []
    for name, found in _lists(view):
        names = [one for one in dict.fromkeys(found) if one in needed or one not in _NO_CLASSES]
        if name.rpartition("/")[2].lower() == _OFFERED:
            names = [one for one in names if one in needed]
        if needed <= set(names) and chosen in ([], names):
            chosen = names
            reading.used.add(name)
    if chosen:
        reading.declared, reading.classes[:] = True, chosen


def _lists(view: FolderView) -> Iterator[tuple[str, list[str]]]:
    """Yield the files that list classes, with what they list; damaged ones are none."""
    names = view.others(_KINDS) + [n for n in view.others((".json",)) if n.endswith(_JSON)]
    for name in names:
        base = name.rpartition("/")[2].lower()
        kind = base.rpartition(".")[2]
        is_list = is_class_list(name) or (is_other_list(name) and kind != "csv")
        others = kind in ("yaml", "yml", "pbtxt") or base in _MORE
        if not (is_list or others) or view.size(name) > MAX_BYTES:
            continue
        try:
            text = small_text(view, name)
            if is_list:
                yield name, parse_class_list(text, name)[0]
            elif kind == "pbtxt":
                yield name, from_pbtxt(text.decode())
            elif kind == "csv":
                yield name, _numbered(text.decode())
            elif kind == "json":
                yield name, json_classes(text, name)
            else:
                yield name, parse_data_yaml(text, name)[0]
        except ArchiveError:
            continue


def _numbered(text: str) -> list[str]:
    """Return the names of a table of names and numbers, as RetinaNet has it, in their order."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line]
    pairs = [
        (int(row[1]), row[0]) if row[1].isdecimal() else (int(row[0]), row[1])
        for row in rows
        if len(row) == _COLUMNS and any(map(str.isdecimal, row))
    ]
    return [name for _, name in sorted(pairs)]
