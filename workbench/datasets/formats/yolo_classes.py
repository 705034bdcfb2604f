"""Class names of a YOLO folder, and what else its ``data.yaml`` says."""

from __future__ import annotations

from workbench.datasets.formats.class_lists import (
    from_json,
    from_other_list,
    is_class_list,
    small_text,
)
from workbench.datasets.formats.file_names import extension, hidden
from workbench.datasets.formats.items import Reading
from workbench.datasets.formats.pairing import stem_of
from workbench.datasets.formats.view import FolderView
from workbench.errors import ArchiveError
from workbench.persistence.archive import parse_class_list, parse_data_yaml

_YAMLS = (".yaml", ".yml")


def describe(view: FolderView, reading: Reading) -> None:
    """Take class names and other keys from wherever they stand."""
    chosen = ""
    for name in _yamls(view):
        data = small_text(view, name)
        if b"names" not in data and not _is_data_yaml(name):
            continue
        found, extra, notes = parse_data_yaml(data, f"{view.path}, {name}")
        reading.used.add(name)
        reading.notes += [note.replace(f"{view.path}, ", "") for note in notes]
        reading.extra = reading.extra or extra
        _agree(view, reading, chosen, name, found)
        chosen = chosen or (name if found else "")
    for name in [n for n in view.names if is_class_list(n) and not hidden(n)]:
        found, notes = parse_class_list(small_text(view, name), f"{view.path}, {name}")
        reading.used.add(name)
        if chosen in _yamls(view) and chosen:
            if found != reading.classes:
                reading.notes.append(f"{name} was dropped: it lists other classes than {chosen}")
            continue
        reading.notes += [note.replace(f"{view.path}, ", "") for note in notes]
        _agree(view, reading, chosen, name, found)
        chosen = chosen or name
    if not chosen and not from_other_list(view, reading):
        from_json(view, reading)


def _agree(view: FolderView, reading: Reading, chosen: str, name: str, found: list[str]) -> None:
    if reading.classes and found and reading.classes != found:
        raise ArchiveError(
            f"{view.path}: expected one list of classes, found {chosen!r} and {name!r}, which "
            f"differ; if these are two datasets, import one and then the other into it, else "
            f"leave the right list alone there"
        )
    if found and not reading.classes:
        reading.classes[:] = found


def _yamls(view: FolderView) -> list[str]:
    """Return the nearest ``data.yaml``, else all YAML files."""
    if view.focus is not None and extension(view.focus) in _YAMLS:
        return [view.focus]
    found = view.others(_YAMLS)
    known = sorted((n for n in found if _is_data_yaml(n)), key=lambda n: (n.count("/"), n))
    if known:
        depth = known[0].count("/")
        first = [name for name in known if name.count("/") == depth]
        first.sort(key=lambda n: not n.rpartition("/")[2].startswith("data."))
        # One of each folder: those of several exports side by side have to agree.
        return [*{name.rpartition("/")[0]: name for name in reversed(first)}.values()][::-1]
    return found


def _is_data_yaml(name: str) -> bool:
    return stem_of(name).lower() in ("data", "dataset")


def has_names(view: FolderView) -> bool:
    """Whether a YAML file has names of classes."""
    return any(b"names" in view.head(name) for name in view.others(_YAMLS))
