"""What the beginnings and ends of pictures tell: their sizes, and what is no picture or cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.codecs import kind_of_picture
from workbench.datasets.formats.ledger import PICTURES, Entry, Ledger
from workbench.datasets.formats.view import FolderView
from workbench.datasets.image_facts import is_truncated, may_be_truncated
from workbench.errors import ArchiveError, InvalidFrameError
from workbench.persistence.image_bounds import header_of
from workbench.persistence.image_header import ImageHeader, read_header

_TICK = 500


def headers_of(
    view: FolderView, names: Sequence[str], ledger: Ledger, progress: Callable[[int, int], None]
) -> dict[str, ImageHeader]:
    """Return the headers of all pictures that are some, and count what is odd about the others."""
    headers = {}
    for number, name in enumerate(names):
        if number % _TICK == 0:
            progress(0, len(names))
        try:
            headers[name] = header = _header(view, name, ledger)
        except (InvalidFrameError, ArchiveError) as error:
            ledger.add(_no_picture(name, view.head(name, 512), error))
            continue
        if header.bits > 8:
            ledger.add(Entry(PICTURES, "noted", why.DEEP, name, 0, name))
        if header.pages > 1:
            ledger.add(Entry(PICTURES, "noted", why.PAGES, name, 0, name))
    return headers


def _header(view: FolderView, name: str, ledger: Ledger) -> ImageHeader:
    head, tail = view.ends(name)
    header = read_header(head)
    if header is None:
        data = view.read(name)
        header = header_of(data, name)
        tail = data
    # Nearly all end as they should, and are not read for it.
    if may_be_truncated(head, tail, view.size(name)) and _is_cut_off(view, name):
        ledger.add(Entry(PICTURES, "noted", why.CUT_OFF, name, 0, name))
    return header


def _is_cut_off(view: FolderView, name: str) -> bool:
    """Whether a picture ends too early, by what Health looks with: the two never disagree."""
    try:
        return is_truncated(view.read(name))
    except ArchiveError:  # the archive is damaged, which whoever takes the picture is told
        return False


def _no_picture(name: str, head: bytes, error: Exception) -> Entry:
    reason, detail = why.DAMAGED, str(error)
    kind = kind_of_picture(head)
    head = head.lstrip().lower()
    if kind in ("HEIC", "AVIF", "JPEG 2000"):
        reason, detail = why.NO_CODEC, f"it is {kind}, whatever it is called"
    elif head.startswith((b"<!doctype", b"<html", b"<?xml", b"{", b"version https://git-lfs")):
        reason, detail = why.NOT_A_PICTURE, "text, as a failed download leaves it"
    elif not head:
        detail = "the file is empty"
    return Entry(PICTURES, "left", reason, name, 0, name, "", detail)
