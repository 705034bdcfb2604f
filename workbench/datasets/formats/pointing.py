"""What may be pointed at to be imported, and what is said of anything else."""

from __future__ import annotations

from pathlib import Path

from workbench.datasets.formats import tar
from workbench.datasets.formats.file_names import OTHER_PICTURES, POINTABLE, extension
from workbench.errors import ArchiveError
from workbench.persistence import IMAGE_EXTENSIONS
from workbench.persistence.archive.folder import opened_file

_HEAD_BYTES = 16


def require_archive(path: Path) -> None:
    """Refuse a file that is nothing that may be pointed at, with what to do about it.

    Raises
    ------
    ArchiveError
        If it has neither the name of an archive nor the beginning of one.
    """
    if tar.is_archive(path.name):
        return
    try:
        with open(path, "rb", opener=opened_file) as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return  # whoever opens it as an archive says why
    if head.startswith((b"PK", b"Rar!", b"7z")):
        return
    if extension(path.name) in IMAGE_EXTENSIONS | OTHER_PICTURES:
        raise ArchiveError(
            f"{path}: expected a folder, an archive or an annotation file, found a picture; import "
            f"the folder that it lies in, or add it to a dataset (in Browse: Add images)"
        )
    raise ArchiveError(
        f"{path}: expected a folder, an archive (zip, tar), a video or an annotation file "
        f"({', '.join(sorted(POINTABLE))}), found a file that is none of them; choose another"
    )
