"""What readers of many files have in common: one after the other, and a bad one stops none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.items import Detection, Options, Reading, Record
from workbench.datasets.formats.pairing import folded_stems
from workbench.datasets.formats.view import FolderView
from workbench.errors import ImportFormatError
from workbench.persistence.archive.split_words import split_word

_TICK = 500
_NEWLINE = re.compile(r"\r\n|\r|\n")

Parse = Callable[[Any, str], Iterable[Record]]
"""Takes what a file holds and its name; raises `ImportFormatError` if it cannot be read."""


def read_json(
    view: FolderView, files: Sequence[str], reading: Reading, options: Options, parse: Parse
) -> Iterator[Record]:
    """Yield the records of JSON files."""
    yield from _each(view.json, files, reading, options, parse)


def read_text(
    view: FolderView, files: Sequence[str], reading: Reading, options: Options, parse: Parse
) -> Iterator[Record]:
    """Yield the records of text files, whose lines `parse` gets."""
    yield from _each(lambda name: lines_of(view.text(name)), files, reading, options, parse)


def read_bytes(
    view: FolderView, files: Sequence[str], reading: Reading, options: Options, parse: Parse
) -> Iterator[Record]:
    """Yield the records of files, whose bytes `parse` gets."""
    yield from _each(view.text, files, reading, options, parse)


def _each(
    load: Callable[[str], Any],
    files: Sequence[str],
    reading: Reading,
    options: Options,
    parse: Parse,
) -> Iterator[Record]:
    for count, name in enumerate(files):
        if count % _TICK == 0:
            options.tick()
        try:
            records = list(parse(load(name), name))
        except ImportFormatError as error:
            reading.unreadable.append((name, str(error)))
            continue
        reading.used.add(name)
        yield from records


def lines_of(data: bytes) -> list[str]:
    """Return the lines of a text in any of the usual encodings."""
    return _NEWLINE.split(decode(data))


def text_of(view: FolderView, name: str) -> str:
    """Return a file's text in any of the usual encodings.

    Raises
    ------
    ImportFormatError
        If it is none; with the file's name.
    """
    try:
        return decode(view.text(name))
    except ImportFormatError as error:
        raise ImportFormatError(f"{view.path}, {name}: {error}") from error


def head_lines(view: FolderView, name: str, most: int = 20) -> list[str]:
    """Return the first lines of a file that are not blank and whole; none if it is no text."""
    head = view.head(name)
    try:
        lines = [line for line in lines_of(head) if line.strip()]
    except ImportFormatError:
        return []
    return (lines[:-1] if len(lines) > 1 and view.size(name) > len(head) else lines)[:most]


def owned_texts(view: FolderView) -> list[str]:
    """Return the text files that are called like a picture."""
    return view.once(_owned_texts)


def _owned_texts(view: FolderView) -> list[str]:
    texts = view.candidates(".txt")
    stems = set(folded_stems(view.pictures)) if texts else set()
    return [n for n, stem in zip(texts, folded_stems(texts), strict=True) if stem in stems]


def owned_by_folder(view: FolderView) -> list[list[str]]:
    """Return the text files that are called like a picture; see `in_like_folders`."""
    return view.once(_owned_by_folder)


def _owned_by_folder(view: FolderView) -> list[list[str]]:
    return in_like_folders(owned_texts(view))


def rows_match(
    view: FolderView, names: Sequence[str], good: Callable[[str], bool], least: float = 0.5
) -> list[str]:
    """Return `names` if most lines in a sample of these files are good ones, else none."""
    step = max(len(names) // 50, 1)
    some = total = 0
    for name in names[::step]:
        lines = head_lines(view, name)
        total += len(lines)
        some += sum(map(good, lines))
    return list(names) if some and some >= least * total else []


def in_like_folders(names: Sequence[str]) -> list[list[str]]:
    """Return files by what their folders are called: labels of all splits are together.

    What else a tool writes for each picture (KITTI's ``calib``, captions) has a folder of its own.
    """
    groups: dict[str, list[str]] = {}
    by_folder: dict[str, list[str]] = {}
    for name in names:
        folder = name[: max(name.rfind("/"), 0)]
        group = by_folder.get(folder)
        if group is None:
            group = by_folder[folder] = groups.setdefault(_folder_word(folder), [])
        group.append(name)
    return list(groups.values())


@lru_cache(maxsize=4096)
def _folder_word(folder: str) -> str:
    parts = [part.lower() for part in folder.split("/") if not split_word(part)]
    return parts[-1] if parts else ""


def found(files: Sequence[str], reason: str, confidence: float = 0.9) -> Detection:
    """Return what `detect` says when these are its files."""
    return Detection(confidence, reason, files) if files else Detection()


def first_of(value: Any, kind: type) -> Any:
    """Return the first element of a list if it is of a kind, else an empty one of that kind."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], kind) else kind()
