"""``data.yaml``, the file that makes a folder a dataset for every YOLO tool."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any

import yaml

from workbench.errors import InvalidDatasetError, NotFoundError
from workbench.persistence.models import SPLITS

# The C parser, where PyYAML was built with it, takes a tenth of the time.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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
    def has_keypoints(self) -> bool:
        """Whether each row of a label file has keypoints behind its box."""
        return "kpt_shape" in self.extra

    @property
    def revision(self) -> str:
        """What `ImageTable.settings_revision` is for these settings."""
        return hashlib.blake2b(
            repr((self.classes, self.extra)).encode(), digest_size=12
        ).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the file's bytes.

        There is no ``path`` key: without it Ultralytics resolves the splits relative to
        the file, so that the folder can be moved.
        """
        content: dict[str, Any] = {split: f"images/{split}" for split in SPLITS}
        content["names"] = dict(enumerate(self.classes))
        content.update(self.extra)
        text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        return str(text).encode()


_OURS = frozenset({"path", "names", "nc", *SPLITS})


def parse(data: bytes, path: str) -> DataYaml:
    """Read the bytes of a ``data.yaml``.

    Raises
    ------
    InvalidDatasetError
        If it is no YAML mapping with ``names``, or its folders are not ours.
    """
    try:
        content = yaml.load(data, Loader=_Loader)  # a safe loader: it builds plain types only
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidDatasetError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict) or "names" not in content:
        raise InvalidDatasetError(f"{path}: expected a mapping with the key 'names'")
    for split in SPLITS:
        folder = content.get(split, f"images/{split}")
        if not isinstance(folder, str) or os.path.normpath(folder) != os.path.normpath(
            f"images/{split}"
        ):
            raise InvalidDatasetError(
                f"{path}: {split}: expected images/{split}, found {folder!r}; "
                f"zip the folder and bring it in with import_zip"
            )
    extra = {str(key): value for key, value in content.items() if key not in _OURS}
    return DataYaml(_names(content["names"], path), extra)


def _names(names: object, path: str) -> list[str]:
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise InvalidDatasetError(
                f"{path}: names: expected the class ids 0 to {len(names) - 1}, "
                f"found {', '.join(map(str, names))}"
            )
        names = [names[class_id] for class_id in range(len(names))]
    if not isinstance(names, list):
        raise InvalidDatasetError(f"{path}: names: expected a list or a mapping, found {names!r}")
    return [str(name) for name in names]


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
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            with open(path, "rb") as file:
                data = file.read()
        except (FileNotFoundError, NotADirectoryError):
            self._known.pop(path, None)
            folder = os.path.dirname(path)
            hint = "; it has no data.yaml" if os.path.isdir(folder) else ""
            raise NotFoundError(
                f"dataset {os.path.basename(folder)!r} is not in {os.path.dirname(folder)}{hint}"
            ) from None
        parsed = parse(data, path)
        self._known[path] = (stamp, parsed)
        return parsed
