"""``data.yaml``, the file that makes a folder a dataset for every YOLO tool."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import yaml

from workbench.errors import InvalidDatasetError, NotFoundError
from workbench.persistence.links import leads_astray, remedy
from workbench.persistence.models import SPLITS
from workbench.persistence.similar import NO_DATASETS, instead
from workbench.persistence.yaml_bounds import (
    CONSTRUCTING,
    MAX_BYTES,
    MAX_DEPTH,
    Loader,
    Problem,
    problem_of,
    size_problem,
    where_of,
)

_log = logging.getLogger(__name__)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True, slots=True)
class DataYaml:
    """What a dataset's ``data.yaml`` says.

    Parameters
    ----------
    classes : list of str
    extra : dict
        Keys that are not ours (``kpt_shape``, a licence, ...), kept as they are.
    """

    classes: list[str]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def colours(self) -> list[str]:
        """The colour of each class, such as ``#ff8800``, empty for one without any of its own.

        Empty if no class has one. They stand under the names of the classes, at a key that other
        tools pass over.
        """
        named = self._named_colours
        found = [colour if is_colour(colour := named.get(name)) else "" for name in self.classes]
        return found if any(found) else []

    @property
    def _named_colours(self) -> dict[Any, Any]:
        kept = self.extra.get(COLOURS)
        return kept if isinstance(kept, dict) else {}

    @property
    def _other_extra(self) -> dict[str, Any]:
        return {key: value for key, value in self.extra.items() if key != COLOURS}

    def with_colours(self, colours: Mapping[str, str]) -> DataYaml:
        """Return the same with other colours of some classes, by name; an empty one goes."""
        named = {**self._named_colours, **colours}
        left = {name: colour for name, colour in named.items() if colour}
        return DataYaml(self.classes, self._other_extra | ({COLOURS: left} if left else {}))

    def with_classes(self, classes: list[str], mapping: Mapping[int, int | None]) -> DataYaml:
        """Return the same with other classes, which keep their colours under their new names.

        Parameters
        ----------
        classes : list of str
        mapping : mapping of int to int or None
            New id by old id; ids that are not in it stay.
        """
        found: dict[str, str] = {}
        known = dict(zip(self.classes, self.colours, strict=False))
        for old, colour in enumerate(self.colours):
            new = mapping.get(old, old)
            if colour and new is not None and new < len(classes) and not known.get(classes[new]):
                found.setdefault(classes[new], colour)
        changed = DataYaml(classes, self.extra)
        return changed.with_colours(found) if found else changed

    @property
    def has_keypoints(self) -> bool:
        """Whether each row of a label file has keypoints behind its box."""
        return "kpt_shape" in self.extra

    @property
    def revision(self) -> str:
        """What `ImageTable.settings_revision` is for these settings."""
        content = repr((self.classes, self._other_extra))
        return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the file's bytes.

        There is no ``path`` key: without it Ultralytics resolves the splits relative to
        the file, so that the folder can be moved. `DANGEROUS` keys are left out, and a
        comment says so: what is written here is trained on, exported and passed on.
        """
        content: dict[str, Any] = {split: f"images/{split}" for split in SPLITS}
        content["names"] = dict(enumerate(self.classes))
        content.update({k: value for k, value in self.extra.items() if k not in DANGEROUS})
        text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        notes = [
            f"# {key!r} was left out: training would run or fetch what stands there.\n"
            for key in sorted(DANGEROUS & self.extra.keys())
        ]
        return "".join([*notes, str(text)]).encode()


COLOURS = "colors"
"""Key of the colours of classes, by name."""

_COLOUR = re.compile("#[0-9a-fA-F]{6}")


def is_colour(value: object) -> TypeGuard[str]:
    """Whether this is a colour as ``data.yaml`` has it: ``#ff8800``."""
    return isinstance(value, str) and _COLOUR.fullmatch(value) is not None


DANGEROUS = frozenset({"download"})
"""Keys at which training would run or fetch what stands there."""

_SHOWN = 200
"""Characters of a file's own words in a message."""

OUR_KEYS = frozenset({"path", "names", "nc", *SPLITS})
"""What is none of `DataYaml.extra`."""


def parse(data: bytes, path: str) -> DataYaml:
    """Read the bytes of a ``data.yaml``.

    Raises
    ------
    InvalidDatasetError
        If it is no YAML mapping with ``names``, or its folders are not ours.
    """
    try:
        _refuse(path, problem_of(data))
        content = yaml.load(data, Loader=Loader)  # a safe loader: it builds plain types only
    except InvalidDatasetError:
        raise
    except CONSTRUCTING as error:
        found = where_of(error, data)
        hint = " (YAML has no tabs at the beginning of a line)" if b"\n\t" in data else ""
        # The parser may have a limit of its own that is met first, so ours is named in any case.
        raise InvalidDatasetError(
            f"{path}: not valid YAML (key: value, at most {MAX_DEPTH} levels): {found}{hint}; "
            f"correct it"
        ) from error
    if not isinstance(content, dict) or content.get("names") is None:
        raise InvalidDatasetError(
            f"{path}: expected a mapping with the key 'names'; write names: [...] into it, or "
            f"{_importing(path)}, which makes names up"
        )
    for split in SPLITS:
        # "test:" with nothing behind it stands in many files, and means that there is none.
        folder = content.get(split) or f"images/{split}"
        if not isinstance(folder, str) or os.path.normpath(folder) != os.path.normpath(
            f"images/{split}"
        ):
            raise InvalidDatasetError(
                f"{path}: {split}: expected images/{split}, found {folder!r}; this is "
                f"another layout: {_importing(path)}"
            )
    extra = {str(key): value for key, value in content.items() if key not in OUR_KEYS}
    names = content["names"]
    if not _are_texts(names):
        names = _as_written(data)
    return DataYaml(_names(names, path), extra)


def _importing(path: str) -> str:
    """Return how a folder comes in that is no dataset as it lies there."""
    what = "download it and import that" if "://" in path else "import this folder"
    return f"{what} as a new dataset, with 'Bring in' on Home or import_dataset"


def _refuse(path: str, problem: Problem | None) -> None:
    if problem is not None:
        expected, found, remedy = problem
        raise InvalidDatasetError(f"{path}: expected {expected}, found {found}; {remedy}")


def _are_texts(names: object) -> bool:
    values = names.values() if isinstance(names, dict) else names
    return isinstance(values, Iterable) and all(isinstance(name, str) for name in values)


def _as_written(data: bytes) -> object:
    """Return ``names`` with each name as it stands there: ``yes`` and ``1`` are names, too."""
    root: Any = yaml.compose(data, Loader=Loader)
    own = [value for key, value in root.value if key.value == "names"]
    if not own:  # a merge key brought them
        return None
    node = own[-1]
    if isinstance(node, yaml.MappingNode):
        return {key.value: value.value for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [item.value for item in node.value]
    return node.value


def _names(names: object, path: str) -> list[str]:
    if isinstance(names, dict):
        by_id = {str(class_id): name for class_id, name in names.items()}
        if by_id.keys() != {str(class_id) for class_id in range(len(names))}:
            raise InvalidDatasetError(
                f"{path}: names: expected the class ids 0 to {len(names) - 1}, "
                f"found {_shortened(', '.join(map(str, names)))}; add the missing ids, or "
                f"{_importing(path)}, which makes names up for them"
            )
        names = [by_id[str(class_id)] for class_id in range(len(names))]
    if not isinstance(names, list):
        raise InvalidDatasetError(
            f"{path}: names: expected a list or a mapping, found {_shortened(repr(names))}; "
            f"write names: [...]"
        )
    for name in names:
        if not isinstance(name, str):
            raise InvalidDatasetError(
                f"{path}: names: expected plain text for each class, found a list or a mapping; "
                f"correct it"
            )
    return names


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class DataYamlCache:
    """Parsed ``data.yaml`` files; one is read again when its time, size or inode changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int, int], DataYaml]] = {}

    def read(self, path: str) -> DataYaml:
        """Return what the file at `path` says.

        Raises
        ------
        NotFoundError
            If there is none: the dataset does not exist.
        InvalidDatasetError
            If it cannot be read.
        """
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                _require_inside(path)
                status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):  # a pipe would never end
                raise InvalidDatasetError(
                    f"{path}: expected a file, found a folder or a device; move it away"
                )
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            _refuse(path, size_problem(status.st_size))
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            self._known.pop(path, None)
            if os.path.islink(path):
                raise InvalidDatasetError(
                    f"{path}: expected a file, found a link to one that is not there; repair or "
                    f"delete it"
                ) from None
            raise NotFoundError(_not_there(os.path.dirname(path))) from None
        parsed = parse(data, path)
        _log.info("dataset opened: %s, %d classes", os.path.dirname(path), len(parsed.classes))
        self._known[path] = (stamp, parsed)
        return parsed


def _not_there(folder: str) -> str:
    """Return that a folder is no dataset, and which beside it are some."""
    root, name = os.path.split(folder)
    if os.path.isdir(folder):
        return (
            f"dataset {name!r} is not in {root}: its folder has no data.yaml; bring it in with "
            f"import_dataset, under another name"
        )
    try:
        with os.scandir(root) as entries:
            beside = [one.name for one in entries if not one.name.startswith(".")]
    except OSError:  # of a folder that is not there, either, nothing is in it
        beside = []
    return f"dataset {name!r} is not in {root}; " + instead(
        name,
        beside,
        all_of_them="list()",
        none=NO_DATASETS,
        is_one=lambda one: os.path.isfile(f"{root}/{one}/data.yaml"),
    )


def _require_inside(path: str) -> None:
    root = os.path.dirname(path)
    if leads_astray(root, path):
        raise InvalidDatasetError(
            f"{path}: expected a file in the dataset, found links that lead out of it. "
            f"{remedy(root)}"
        )
