"""Other classes in somebody's ``data.yaml``, with every comment and every other line kept.

The parser tells where in the text each value stands. Names are changed one by one where
they stand, new ones are put behind the last; only where their number shrinks or their form
gives no place for another are they written anew. The result is read back before it is
used. If it says something else, the file is written anew: it loses its comments, but never its
meaning.

Why not ruamel.yaml (0.19 was tried on the files in ``tests/persistence/test_yaml_text.py``): it
keeps comments, but writes the whole file again in its own form. Lists lose their indentation,
columns their alignment, Windows line ends become others, and the comment of a class that goes
is lost. A class that is appended before an empty line lands behind it. It writes YAML 1.2, where
``yes`` is a word: a class of that name has no quotes, and Ultralytics reads it as ``True``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import yaml

from workbench.errors import InvalidDatasetError
from workbench.persistence.models import SPLITS
from workbench.persistence.yolo.data_yaml import COLOURS, DataYaml, parse

_Edit = tuple[int, int, str]
"""Beginning and end of a piece of the text, and what takes its place."""


def rewritten(old: bytes, new: DataYaml) -> bytes:
    """Return the bytes of a ``data.yaml`` that says `new` and keeps what it can of `old`."""
    try:
        text = old.decode("utf-8-sig")
        # The parser in C counts bytes where this one counts characters.
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        edits = _edits(root, text, new.classes)
        colours = new.extra.get(COLOURS)
        if colours != parse(old, "data.yaml").extra.get(COLOURS):
            edits += _without(root, text, COLOURS)
        for start, end, replacement in sorted(edits, reverse=True):
            text = text[:start] + replacement + text[end:]
        if COLOURS in new.extra and f"\n{COLOURS}:" not in f"\n{text}":
            lines = yaml.safe_dump({COLOURS: colours}, sort_keys=False, allow_unicode=True)
            text = f"{text}{'' if text.endswith(chr(10)) else chr(10)}{lines}"
        data = text.encode()
        if parse(data, "data.yaml") == new:
            return data
    except (InvalidDatasetError, UnicodeDecodeError, yaml.YAMLError, _NoPlaceError):
        pass  # then it is written as we write it ourselves
    return new.to_bytes()


class _NoPlaceError(Exception):
    """Raised where the text has no place for what is to be written."""


def _edits(root: Any, text: str, classes: Sequence[str]) -> list[_Edit]:
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise _NoPlaceError
    edits: list[_Edit] = []
    present = set()
    for key, value in root.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _NoPlaceError
        present.add(key.value)
        if key.value == "names":
            edits += _name_edits(text, value, classes)
        elif key.value == "nc":
            edits.append((*_span(value), str(len(classes))))
        elif key.value == "path":  # without it the folder can be moved, see `DataYaml.to_bytes`
            edits.append((key.start_mark.index, _end_of_line(text, value.end_mark.index) + 1, ""))
    missing = [f"{split}: images/{split}\n" for split in SPLITS if split not in present]
    if missing:
        start = root.value[0][0].start_mark.index
        edits.append((start, start, "".join(missing)))
    return edits


def _without(root: Any, text: str, wanted: str) -> list[_Edit]:
    """Return what takes the lines of a key away, if it is there."""
    keys = [key for key, _ in root.value]
    for place, (key, value) in enumerate(root.value):
        if key.value == wanted:
            after = keys[place + 1].start_mark.index if place + 1 < len(keys) else len(text)
            end = min(_end_of_line(text, max(value.end_mark.index - 1, 0)) + 1, after)
            return [(key.start_mark.index, end, "")]
    return []


def _name_edits(text: str, names: Any, classes: Sequence[str]) -> list[_Edit]:
    by_id = isinstance(names, yaml.MappingNode)
    if not isinstance(names, yaml.CollectionNode):
        raise _NoPlaceError
    nodes = [value for _, value in names.value] if by_id else list(names.value)
    in_order = not by_id or [key.value for key, _ in names.value] == [*map(str, range(len(nodes)))]
    if not nodes or not in_order or len(nodes) > len(classes):
        return [_anew(text, names, classes)]
    edits = [
        (*_span(node), _scalar(name))
        for node, name in zip(nodes, classes, strict=False)
        if node.value != name
    ]
    more = list(islice(enumerate(classes), len(nodes), None))
    if more and names.flow_style:
        entries = [
            f"{number}: {_scalar(name)}" if by_id else _scalar(name) for number, name in more
        ]
        end = _span(nodes[-1])[1]
        edits.append((end, end, "".join(f", {entry}" for entry in entries)))
    elif more:
        indent = "\n" + " " * names.start_mark.column
        end = _end_of_line(text, _span(nodes[-1])[1])
        edits.append((end, end, "".join(indent + _entry(by_id, *one) for one in more)))
    return edits


def _anew(text: str, names: Any, classes: Sequence[str]) -> _Edit:
    if names.flow_style or not names.value:
        plain: Any = dict(enumerate(classes))
        start, end = _span(names)
        return start, end, _flow(plain)
    last = names.value[-1]
    end = _span(last[1] if isinstance(last, tuple) else last)[1]
    indent = "\n" + " " * names.start_mark.column
    by_id = isinstance(names, yaml.MappingNode)
    lines = [_entry(by_id, number, name) for number, name in enumerate(classes)]
    return names.start_mark.index, end, indent.join(lines) or "{}"


def _entry(by_id: bool, number: int, name: str) -> str:
    return f"{number}: {_scalar(name)}" if by_id else f"- {_scalar(name)}"


def _scalar(name: str) -> str:
    """Return a name as it may stand in a list in brackets, too."""
    return _flow([name])[1:-1]


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1 << 30)
    return text.rstrip("\n")


def _span(node: Any) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end
