"""Class names out of other people's files: ``data.yaml``, ``classes.txt``, ``obj.names``.

Format of ``data.yaml``: https://docs.ultralytics.com/datasets/detect/ - ``names`` as a list,
or as a mapping from 0..n-1; ``nc`` their number; ``path``, ``train``, ``val`` and ``test``
where the images are; ``download`` a script or address that Ultralytics would run or fetch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import count

import yaml

from workbench.errors import ArchiveError, InvalidDatasetError
from workbench.persistence.rules import check_classes
from workbench.persistence.yaml_bounds import (
    CONSTRUCTING,
    MAX_BYTES,
    MAX_DEPTH,
    Loader,
    problem_of,
    size_problem,
    where_of,
)
from workbench.persistence.yolo.data_yaml import DANGEROUS

__all__ = ["MAX_BYTES", "MAX_CLASSES", "parse_class_list", "parse_data_yaml", "parse_split_paths"]

MAX_CLASSES = 10_000
"""More classes than this are taken for damage: the largest known label sets have half."""

# What the store writes itself, in its own way.
_OURS = frozenset({"path", "train", "val", "test", "valid", "validation", "minival", "nc", "names"})

_SPLIT_KEYS = {
    "train": "train",
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    "test": "test",
}

_Node = yaml.nodes.Node


def parse_data_yaml(text: bytes, where: str) -> tuple[list[str], dict[str, object], list[str]]:
    """Read the class names and what else is worth keeping.

    Names are taken as they are written: ``on`` and ``1`` are names, not a truth value and
    a number. Boxes keep their meaning: an id without a name gets one, and so does the second
    class of a name.

    Parameters
    ----------
    text : bytes
        Contents of the file; UTF-8.
    where : str
        What messages call the file.

    Returns
    -------
    classes : list of str
        Empty if the file says nothing of them.
    extra : dict
        Other keys (``kpt_shape``, a licence...) with numbers, strings, lists and mappings
        of them.
    notes : list of str
        What was dropped or changed.

    Raises
    ------
    ArchiveError
        If the file is no UTF-8, no YAML, or built to exhaust memory; if keys occur twice.
    """
    root = _compose(_decode(text, where), where)
    if root is None:
        return [], {}, [f"{where} is empty"]
    if not isinstance(root, yaml.MappingNode):
        raise _problem(where, "keys and values", _kind(root), "write names: [...] into it")
    pairs = _pairs(root, where)
    number, notes = _count(pairs["nc"], where) if "nc" in pairs else (None, [])
    classes: list[str] = []
    if "names" in pairs:
        classes, changed = _checked(_names(pairs["names"], where), where)
        notes += changed
    if not classes:
        notes.append(f"{where} has no class names")
    elif number is not None and number != len(classes):
        notes.append(
            f"{where} says nc: {number} but has {len(classes)} names: the names were taken"
        )
    extra: dict[str, object] = {}
    for key, node in pairs.items():
        if key in DANGEROUS:
            notes.append(f"{key!r} in {where} was dropped: training would have run or fetched it")
        elif key not in _OURS:
            try:
                extra[key] = _plain(_construct(node, where))
            except TypeError as error:
                notes.append(f"{key!r} in {where} was dropped: it holds {error}")
    return classes, extra, notes


def parse_split_paths(text: bytes) -> dict[str, list[str]]:
    """Return where a ``data.yaml`` says that the images of its splits are.

    Returns
    -------
    dict of str to list of str
        Paths by split, as they are written, each behind the file's ``path`` if it has one;
        empty if the file says nothing that could be read.
    """
    try:
        root = _compose(_decode(text, ""), "")
        pairs = _pairs(root, "") if isinstance(root, yaml.MappingNode) else {}
    except ArchiveError:
        return {}
    above = pairs["path"].value if isinstance(pairs.get("path"), yaml.ScalarNode) else ""
    found: dict[str, list[str]] = {}
    for key, split in _SPLIT_KEYS.items():
        node = pairs.get(key)
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values = [n.value for n in nodes if isinstance(n, yaml.ScalarNode) and n.value.strip()]
        if values:
            found.setdefault(split, []).extend(f"{above}/{value}" for value in values)
    return found


def parse_class_list(text: bytes, where: str) -> tuple[list[str], list[str]]:
    """Read a file with one class name a line, as ``classes.txt`` and ``obj.names`` are.

    Returns
    -------
    classes : list of str
    notes : list of str
        What was changed: an empty line stands for a class without a name.

    Raises
    ------
    ArchiveError
        If it is no UTF-8.
    """
    lines = [line.strip() for line in _decode(text, where).rstrip().splitlines()]
    while len(lines) > 1 and lines[0].startswith("# "):
        del lines[0]  # a comment, which somebody has written above
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    first = int(numbered[0][1]) if numbered and numbered[0] else -1
    if (
        len(lines) > 1
        and first in (0, 1)
        and all(m and int(m[1]) == n for n, m in enumerate(numbered, start=first))
    ):
        lines = [m[2] for m in numbered if m]  # "0: cat", also "1: cat"
    elif len(lines) == 1 and "," in lines[0]:
        lines = [name.strip().strip("\"'") for name in lines[0].strip("[]").split(",")]
    return _checked(lines, where)


_NUMBERED = re.compile(r"(\d{1,4})\s*[:,=\s]\s*(\S.*)")


def _problem(where: str, expected: str, found: str, remedy: str) -> ArchiveError:
    return ArchiveError(f"{where}: expected {expected}, found {found}; {remedy}")


def _decode(text: bytes, where: str) -> str:
    too_large = size_problem(len(text))
    if too_large is not None:
        raise _problem(where, *too_large)
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _problem(where, "text in UTF-8", str(error), "save the file as UTF-8") from error


def _compose(text: str, where: str) -> _Node | None:
    """Parse YAML into nodes, after making sure that it cannot blow up.

    Aliases of lists and mappings are refused: a few hundred bytes of them expand to
    gigabytes ("billion laughs"), and no data.yaml needs them.
    """
    try:
        dangerous = problem_of(text, nested_aliases=False)
        if dangerous is not None:
            raise _problem(where, *dangerous)
        root: _Node | None = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        tabs = "\n\t" in text
        remedy = "put spaces for the tabs at the beginning of lines" if tabs else "correct it"
        found = where_of(error, text)
        # The parser may have a limit of its own that is met first, so ours is named in any case.
        raise _problem(
            where, f"YAML (key: value, at most {MAX_DEPTH} levels)", found, remedy
        ) from error
    return root


def _kind(node: _Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else repr(node.value)


def _pairs(node: yaml.MappingNode, where: str) -> dict[str, _Node]:
    """Return a mapping's values by the text of their keys, each of which may occur once."""
    pairs: dict[str, _Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _problem(where, "keys that are plain text", _kind(key), "correct it")
        if key.value in pairs:
            again = f"{key.value!r} again in line {key.start_mark.line + 1}"
            raise _problem(where, "each key once", again, "remove one of the two")
        pairs[key.value] = value
    return pairs


def _names(node: _Node, where: str) -> list[str]:
    if isinstance(node, yaml.SequenceNode):
        return [_text(item, where) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        by_id: dict[int, str] = {}
        for key, value in _pairs(node, where).items():
            if not (key.isascii() and key.isdigit() and len(key) < 10) or int(key) in by_id:
                raise _problem(
                    where, "class ids 0, 1, 2... in names", repr(key), "number the names from 0"
                )
            by_id[int(key)] = _text(value, where)
        if max(by_id, default=0) >= MAX_CLASSES:
            raise _problem(
                where, f"class ids below {MAX_CLASSES}", f"{max(by_id)}", "number the names from 0"
            )
        return [by_id.get(i, "") for i in range(max(by_id, default=-1) + 1)]
    if node.tag == "tag:yaml.org,2002:null":
        return []
    if isinstance(node, yaml.ScalarNode) and re.search(r"[,\n]", node.value.strip()):
        # Names in one text, by lines or by commas.
        texts = [text.strip(" '\"[]-\t") for text in re.split(r"[,\n]", node.value)]
        return [text for text in texts if text]
    raise _problem(where, "a list or mapping of names", repr(node.value), "write names: [...]")


def _text(node: _Node, where: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _problem(where, "names that are plain text", _kind(node), "correct names")
    return str(node.value).strip()


def _checked(names: Sequence[str], where: str) -> tuple[list[str], list[str]]:
    """Return names that all differ, for the same ids, and what was changed for that."""
    if len(names) > MAX_CLASSES:
        raise _problem(where, f"at most {MAX_CLASSES} names", f"{len(names)}", "correct it")
    taken = set(names)
    seen: set[str] = set()
    # Where the numbers of a name go on. To try them from 2 for each of 9,999 equal names
    # would take minutes.
    numbers: dict[str, count[int]] = {}
    classes: list[str] = []
    given: list[str] = []
    for class_id, name in enumerate(names):
        if not name or name in seen:
            base = name or f"class_{class_id}"
            new = base
            if name or base in taken:
                more = numbers.setdefault(base, count(2))
                new = next(new for i in more if (new := f"{base}_{i}") not in taken)
            given.append(
                f"class {class_id} {f'is {name!r} again' if name else 'has no name'}, now {new!r}"
            )
            taken.add(new)
            name = new
        seen.add(name)
        classes.append(name)
    notes = [f"{where}: {'; '.join(given[:5])}{'; ...' * (len(given) > 5)}"] if given else []
    try:
        return check_classes(classes), notes
    except InvalidDatasetError as error:
        raise ArchiveError(f"{where}: {error}; correct it and import again") from error


def _count(node: _Node, where: str) -> tuple[int | None, list[str]]:
    value = node.value
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10):
        return None, [f"nc in {where} is no number and was dropped"]
    if int(value) > MAX_CLASSES:
        raise _problem(where, f"nc up to {MAX_CLASSES}", value, "correct nc")
    return int(value), []


def _construct(node: _Node, where: str) -> object:
    """Build plain values out of a node, as `yaml.safe_load` does."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except CONSTRUCTING as error:
        raise _problem(where, "YAML", " ".join(str(error).split()), "correct it") from error
    finally:
        loader.dispose()


def _plain(value: object) -> object:
    """Return `value` if it is made of JSON's types, or raise `TypeError` saying what is not."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"the number {value}")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if hasattr(value, "isoformat"):  # YAML reads 2024-01-31 as a date
        return str(value.isoformat())
    raise TypeError(f"a {type(value).__name__}")
