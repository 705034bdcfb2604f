"""Pictures that lie inside their annotation files, as LabelMe keeps them unless told otherwise.

They come out byte for byte, under the name of the file that they were in.
"""

from __future__ import annotations

import base64
from pathlib import Path

from workbench.datasets.changes import counted
from workbench.datasets.formats.file_names import extension
from workbench.datasets.formats.labelme import is_labelme
from workbench.datasets.formats.pairing import Pictures, stem_of
from workbench.datasets.formats.view import FolderView
from workbench.errors import ImportFormatError
from workbench.persistence import IMAGE_EXTENSIONS

_MARKS = (b'"shapes"', b'"imageData"')
_KINDS = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG\r\n\x1a\n", ".png"), (b"BM", ".bmp"))


def with_embedded(view: FolderView) -> FolderView:
    """Return what there is, and the pictures that only annotation files hold; looked for once."""
    return view.once(_unpacked)


def _unpacked(view: FolderView) -> FolderView:
    folder: Path | None = None
    made: list[str] = []
    names = view.candidates(".json")
    stems = set(map(stem_of, view.pictures)) if names else set()
    alone = [n for n in names if stem_of(n) not in stems]
    asked = [n for n in alone if _is_asked(view.head(n))]
    pictures = Pictures(view.pictures if asked else ())
    for name in asked:
        data, kind = _picture_in(view, name, pictures)
        if not data:
            continue
        folder = folder or Path(view.new_folder())
        path = folder / (name[: -len(extension(name))] + kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        made.append(name)
    if folder is None:
        return view
    note = (
        f"{counted(len(made), 'picture')} lay inside annotation files (imageData) and nowhere else "
        f"and came from there, such as from {made[0]!r}"
    )
    return view.with_made(folder, (), (), [note])


def _is_asked(head: bytes) -> bool:
    return any(mark in head for mark in _MARKS)


def _picture_in(view: FolderView, name: str, pictures: Pictures) -> tuple[bytes, str]:
    """Return the picture in a file of LabelMe and its extension; nothing if it lies beside."""
    try:
        found = view.json(name)
    except ImportFormatError:
        return b"", ""  # told when it is read
    if not is_labelme(found) or not isinstance(found.get("imageData"), str):
        return b"", ""
    hint = str(found.get("imagePath") or "")
    if pictures.like(name, hint):
        return b"", ""
    try:
        data = base64.b64decode(found["imageData"])
    except ValueError:
        return b"", ""
    said = extension(hint) if extension(hint) in IMAGE_EXTENSIONS else ""
    return data, next((kind for mark, kind in _KINDS if data.startswith(mark)), said)
