"""Class names out of other people's files: ``data.yaml``, ``classes.txt``, ``obj.names``.

Format of ``data.yaml``: https://docs.ultralytics.com/datasets/detect/ - ``names`` as a list,
or as a mapping from 0..n-1; ``nc`` their number; ``path``, ``train``, ``val`` and ``test``
where the images are; ``download`` a script or address that Ultralytics would run or fetch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import yaml

from workbench.errors import ArchiveError, InvalidDatasetError
from workbench.persistence.rules import check_classes

MAX_BYTES = 2**20
MAX_CLASSES = 10_000
"""More classes than this are taken for damage: the largest known label sets have half."""

_MAX_DEPTH = 20

# What the store writes itself, in its own way.
_OURS = frozenset({"path", "train", "val", "test", "valid", "validation", "minival", "nc", "names"})

# Ultralytics runs or fetches what stands here.
_DANGEROUS = frozenset({"download"})

# The C parser, where PyYAML was built with it, takes a tenth of the time.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Node = yaml.nodes.Node


def parse_data_yaml(text: bytes, where: str) -> tuple[list[str], dict[str, object], list[str]]:
    """Read the class names and what else is worth keeping.

    Names are taken as they are written: ``on`` and ``1`` are names, not a truth value and
    a number.

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
        If the file is no UTF-8, no YAML, or built to exhaust memory; if keys or names
        occur twice; if ids are missing.
    """
    root = _compose(_decode(text, where), where)
    if root is None:
        return [], {}, [f"{where} is empty"]
    if not isinstance(root, yaml.MappingNode):
        raise _problem(where, "keys and values", _kind(root), "write names: [...] into it")
    pairs = _pairs(root, where)
    classes = _names(pairs["names"], where) if "names" in pairs else []
    count, notes = _count(pairs["nc"], where) if "nc" in pairs else (None, [])
    if not classes:
        notes.append(f"{where} has no class names")
    elif count is not None and count != len(classes):
        notes.append(f"{where} says nc: {count} but has {len(classes)} names: the names were taken")
    extra: dict[str, object] = {}
    for key, node in pairs.items():
        if key in _DANGEROUS:
            notes.append(f"{key!r} in {where} was dropped: training would have run or fetched it")
        elif key not in _OURS:
            try:
                extra[key] = _plain(_construct(node, where))
            except TypeError as error:
                notes.append(f"{key!r} in {where} was dropped: it holds {error}")
    return classes, extra, notes


def parse_class_list(text: bytes, where: str) -> list[str]:
    """Read a file with one class name a line, as ``classes.txt`` and ``obj.names`` are.

    Raises
    ------
    ArchiveError
        If it is no UTF-8, or a name is empty or occurs twice.
    """
    return _checked([line.strip() for line in _decode(text, where).rstrip().splitlines()], where)


def _problem(where: str, expected: str, found: str, remedy: str) -> ArchiveError:
    return ArchiveError(f"{where}: expected {expected}, found {found}; {remedy}")


def _decode(text: bytes, where: str) -> str:
    if len(text) > MAX_BYTES:
        raise _problem(
            where, f"at most {MAX_BYTES} bytes", f"{len(text)}", "keep only the class names in it"
        )
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _problem(where, "text in UTF-8", str(error), "save the file as UTF-8") from error


def _compose(text: str, where: str) -> _Node | None:
    """Parse YAML into nodes, after making sure that it cannot blow up.

    Aliases of lists and mappings are refused: a few hundred bytes of them expand to
    gigabytes ("billion laughs"), and no data.yaml needs them.
    """
    depth = 0
    nested: set[str] = set()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if event.anchor is not None:
                    nested.add(event.anchor)
                if depth > _MAX_DEPTH:
                    raise _problem(where, f"at most {_MAX_DEPTH} levels", "more", "simplify it")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.AliasEvent) and event.anchor in nested:
                raise _problem(
                    where,
                    "no aliases of lists or mappings",
                    f"*{event.anchor}",
                    "write out what it stands for",
                )
        root: _Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _problem(where, "YAML", " ".join(str(error).split()), "correct it") from error
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
        return _checked([_text(item, where) for item in node.value], where)
    if isinstance(node, yaml.MappingNode):
        by_id: dict[int, str] = {}
        for key, value in _pairs(node, where).items():
            if not (key.isascii() and key.isdigit() and len(key) < 10) or int(key) in by_id:
                raise _problem(
                    where, "class ids 0, 1, 2... in names", repr(key), "number the names from 0"
                )
            by_id[int(key)] = _text(value, where)
        missing = next((i for i in range(len(by_id)) if i not in by_id), None)
        if missing is not None:
            raise _problem(
                where,
                f"names for the class ids 0 to {len(by_id) - 1}",
                f"none for {missing} (there are {sorted(by_id)[:10]})",
                "add the missing names",
            )
        return _checked([by_id[i] for i in range(len(by_id))], where)
    if node.tag == "tag:yaml.org,2002:null":
        return []
    raise _problem(where, "a list or mapping of names", repr(node.value), "write names: [...]")


def _text(node: _Node, where: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _problem(where, "names that are plain text", _kind(node), "correct names")
    return str(node.value).strip()


def _checked(names: Sequence[str], where: str) -> list[str]:
    if len(names) > MAX_CLASSES:
        raise _problem(where, f"at most {MAX_CLASSES} names", f"{len(names)}", "correct it")
    try:
        return check_classes(names)
    except InvalidDatasetError as error:
        raise ArchiveError(f"{where}: {error}; correct it and repack") from error


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
    except (yaml.YAMLError, ValueError, OverflowError) as error:
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
