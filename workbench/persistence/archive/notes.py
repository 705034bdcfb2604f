"""What is reported about an import: one sentence for each kind of thing, with an example."""

from __future__ import annotations

import re

from workbench.persistence.yolo.names import IMAGE_EXTENSIONS

_SUBJECT = re.compile(
    r"^1 (?P<before>[^,:.(\d]*?)"
    r"(?P<what>annotation|archive|box|file|image|picture|prediction|row|video)"
    r"(?:e?s)\b(?P<after>[^,:]*(?:, and (?:were|are|have)\b)?)"
)
_OF_ONE = {
    "were": "was", "are": "is", "have": "has", "hold": "holds", "lie": "lies", "mark": "marks",
    "belong": "belongs", "carry": "carries", "share": "shares", "stand": "stands",
    "begin": "begins", "come": "comes", "repeat": "repeats", "their": "its",
}  # fmt: skip


def of_one(sentence: str) -> str:
    """Return a sentence about many things so that it can be said of one.

    Parameters
    ----------
    sentence : str
        One that begins with a number; unless that is 1, it is returned as it is.
    """
    found = _SUBJECT.match(sentence)
    if found is None:
        return sentence
    words = "".join(_OF_ONE.get(word, word) for word in re.split(r"(\W+)", found["after"]))
    return f"1 {found['before']}{found['what']}{words}{sentence[found.end() :]}"


class Notes:
    """Counts things of one kind, with the first as an example."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, example: str) -> None:
        """Count one of a kind, which is one of this module's sentences."""
        number, first = self._found.get(kind, (0, example))
        self._found[kind] = (number + 1, first)

    def sentences(self) -> list[str]:
        """Return a sentence for each kind, in the order in which they came up."""
        return [
            of_one(
                kind.format(count=number, example=example if kind in SENTENCES else repr(example))
            )
            for kind, (number, example) in self._found.items()
        ]


CACHE = "{count} cache files of training tools were dropped, such as {example}"
ARRAY = "{count} NumPy files were dropped, such as {example}: training would read them as images"
PICKLE = "{count} pickle files were dropped, such as {example}: opening one can run code"
TEXT = "{count} label or other text files that belong to no image were dropped, such as {example}"
OUTSIDE = "{count} images outside the dataset's image folders were dropped, such as {example}"
NO_CODEC = "{count} images of unsupported formats were dropped, such as {example}: convert to PNG"
FOREIGN = (
    "{count} XML or JSON files were dropped, such as {example}: if these are labels, "
    "import them with import_dataset, which reads these"
)
HIDDEN_FILE = "{count} hidden files were dropped, such as {example}"
OTHER = "{count} other files were dropped, such as {example}"
NO_SPLIT = "{count} images lie in no split and went to train, such as {example}"
FLATTENED = "{count} images in subfolders carry the folder in their name now, such as {example}"
UNPORTABLE = "{count} images have names that not every system allows and were renamed: {example}"
RENAMED = "{count} images met another image's name and were renamed: {example}"
SHARED = "{count} label files belong to several images, which got a copy each, such as {example}"
SENTENCES = frozenset({UNPORTABLE, RENAMED})

DROPPED = {
    ".cache": CACHE,
    **dict.fromkeys((".npy", ".npz"), ARRAY),
    **dict.fromkeys((".pkl", ".pickle"), PICKLE),
    ".txt": TEXT,
    **dict.fromkeys(IMAGE_EXTENSIONS, OUTSIDE),
    **dict.fromkeys((".gif", ".heic", ".heif", ".avif", ".dng", ".jp2", ".svg"), NO_CODEC),
    **dict.fromkeys((".xml", ".json"), FOREIGN),
}
