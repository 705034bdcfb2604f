"""The one place that checks names of datasets, images, models and files."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence

from workbench.errors import InvalidNameError
from workbench.persistence.models import SPLITS

IMAGE_EXTENSIONS: frozenset[str] = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
)

HIDDEN = ".workbench"
"""Folder beside the images and labels that holds what YOLO has no place for."""

HIDDEN_FOLDERS = frozenset(
    {
        *("cache", "history", "imports", "new", "rewrites", "sources", "staging"),
        *("suggestions", "tmp", "trash", "tx", "versions"),
    }
)
"""What is a folder in there: of a dataset, of the folder of all of them, or of the models."""

HIDDEN_FILES = frozenset({"active.json", "dataset.json", "generation", "prompts.json", "tags.json"})
"""What is a file in there; ``lock`` is one, too, and has to be there before all others."""

MOST_NAME_BYTES = 255
"""Of a name that is there already: what every common file system takes."""

MAX_NAME_BYTES = 200
"""Of a name that is given: the names of labels and of temporary files made of it are longer."""

# Windows keeps these names for devices, whatever the extension:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_SEPARATORS = frozenset("/\\")
_UNPORTABLE = frozenset('<>:"|?*')
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_CACHE_KEY = re.compile(r"[a-z0-9](?:[a-z0-9_.\-]{0,78}[a-z0-9])?")
_IMAGE_SUFFIXES = tuple(sorted(IMAGE_EXTENSIONS))
_EXTENSION = re.compile(r"\.[^.\0]*\0")
_COMMON_SUFFIXES = frozenset({".jpg", ".png"})
# Plain names, the common case by far, need none of the slow checks.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-]{0,40}(?:\.[A-Za-z0-9]{1,5})?")
_PLAIN_IMAGES = re.compile(
    r"(?:(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])\.)[a-z0-9_][a-z0-9_\-]{0,40}"
    rf"(?:{'|'.join(re.escape(suffix) for suffix in sorted(IMAGE_EXTENSIONS))})\n)*+",
    re.IGNORECASE | re.ASCII,
)


def check_name(name: str, what: str = "name") -> str:
    """Return `name` as it will stand on disk (Unicode NFC), or say why it cannot.

    Parameters
    ----------
    name : str
    what : str
        What the name is for, as the message shall call it: ``"dataset name"``.

    Raises
    ------
    InvalidNameError
        If the name could not be a file name on Linux, macOS and Windows alike.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"{what}: expected a string, found {type(name).__name__}")
    if _PLAIN.fullmatch(name) and not _RESERVED.fullmatch(name):
        return name
    name = unicodedata.normalize("NFC", name)
    problem = _problem_with(name)
    if problem:
        raise InvalidNameError(f"{what} {name!r} {problem}; choose another name")
    return name


def _problem_with(name: str) -> str | None:
    if not name:
        return "is empty"
    if _SEPARATORS.intersection(name):
        return "holds a slash, as only a path does"
    if name.startswith("."):
        return "starts with a dot"
    if name != name.strip() or name.endswith("."):
        return "starts or ends with a space, or ends with a dot"
    if any(unicodedata.category(char) in _CONTROLS for char in name):
        return "holds a control character"
    unportable = sorted(_UNPORTABLE.intersection(name))
    if unportable:
        return f"holds {' '.join(unportable)}, which Windows does not allow"
    if _RESERVED.fullmatch(name):
        return "is reserved for a device on Windows"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    return None


def portable_name(name: str) -> str:
    """Return a name that `check_name` takes and that is as near to `name` as can be.

    Parameters
    ----------
    name : str
        Not empty, and without separators.
    """
    stem_, extension = os.path.splitext(unicodedata.normalize("NFC", name))
    stem_ = "".join(
        "_" if char in _UNPORTABLE or unicodedata.category(char) in _CONTROLS else char
        for char in stem_
    )
    stem_ = stem_.lstrip(". ").rstrip(". ") or "_"
    if _RESERVED.fullmatch(stem_ + extension):
        stem_ = f"_{stem_}"
    room = MAX_NAME_BYTES - len(extension.encode())
    return stem_.encode()[:room].decode(errors="ignore").rstrip(". ") + extension


def check_filename(filename: str) -> str:
    """Return the name of an image file as it will stand on disk, or say why it cannot.

    Raises
    ------
    InvalidNameError
        If it is no portable name or its extension is not one of `IMAGE_EXTENSIONS`.
    """
    filename = check_name(filename, "image name")
    if os.path.splitext(filename)[1].lower() not in IMAGE_EXTENSIONS:
        raise InvalidNameError(
            f"image name {filename!r}: expected one of the extensions "
            f"{', '.join(sorted(IMAGE_EXTENSIONS))}; rename or convert the image"
        )
    return filename


def are_plain_images(names: Sequence[str]) -> bool:
    """Whether `check_filename` returns each of the names as it is; a quick no says nothing.

    One look at all of them takes a tenth of the time of one at each.
    """
    try:
        together = "\n".join((*names, ""))
    except TypeError:  # not even text
        return False
    return together.count("\n") == len(names) and _PLAIN_IMAGES.fullmatch(together) is not None


def could_be_image(filename: object) -> bool:
    """Whether a file that somebody else has put into a dataset's folder may have this name.

    What is no portable name (colons, a space at the end, a device of Windows) may well be
    there; what leads elsewhere, is hidden or has no image's extension cannot be an image.
    """
    return (
        isinstance(filename, str)
        and not any(char in filename for char in ("/", "\0", os.sep))
        and not filename.startswith(".")
        and os.path.splitext(filename)[1].lower() in IMAGE_EXTENSIONS
        and can_be_name(filename)
    )


def can_be_name(name: str) -> bool:
    """Whether a file system takes a name at all; asked for others, it raises all kinds of errors.

    Half of a pair of surrogates, which JSON can hold, becomes no bytes.
    """
    try:
        return len(os.fsencode(name)) <= MOST_NAME_BYTES
    except UnicodeEncodeError:
        return False


def check_split(split: str) -> str:
    """Return `split`, or raise `InvalidNameError` if it is not train, val or test."""
    if split not in SPLITS:
        raise InvalidNameError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    return split


def check_image(split: str, filename: str) -> tuple[str, str]:
    """Return a split and an image's name as they will stand on disk; raises `InvalidNameError`."""
    return check_split(split), check_filename(filename)


def check_cache_key(key: str) -> str:
    """Return `key`, or raise `InvalidNameError` if it cannot name cached data."""
    if not _CACHE_KEY.fullmatch(key):
        raise InvalidNameError(
            f"cache key {key!r}: expected 1 to 80 of a-z, 0-9, '_', '-' and '.', "
            f"beginning and ending with a letter or a digit"
        )
    return key


def is_image_name(name: str) -> bool:
    """Whether a directory entry of this name counts as an image of the dataset."""
    if name[0] == ".":
        return False
    # The first look settles nearly all names in half of the time of the second.
    return name[-4:] in _COMMON_SUFFIXES or name.lower().endswith(_IMAGE_SUFFIXES)


def images_among(names: Sequence[str]) -> list[str]:
    """Return those names that count as images, sorted."""
    # A look at all of them together takes a quarter of the time of one at each.
    together = "\0".join(("", *names, ""))
    usual = sum(together.count(f"{suffix}\0") for suffix in _COMMON_SUFFIXES)
    if usual == len(names) and "\0." not in together:
        return sorted(names)
    return sorted(filter(is_image_name, names))


def label_names(images: Sequence[str]) -> list[str]:
    """Return the names of the label files of many images."""
    return _EXTENSION.sub(".txt\0", "\0".join((*images, ""))).split("\0")[:-1]


def stem(filename: str) -> str:
    """Return the file name without its extension: what image and label share."""
    return filename.rpartition(".")[0] or filename  # a quarter of the time of os.path.splitext
