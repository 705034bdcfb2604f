"""Which picture each record is of; what finds none is counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import Record
from workbench.datasets.formats.ledger import ANNOTATIONS, PICTURES, Entry, Ledger
from workbench.datasets.formats.noting import Noter
from workbench.datasets.formats.pairing import Pictures, split_of, split_of_folder
from workbench.datasets.formats.view import FolderView
from workbench.persistence.archive.directory import fold
from workbench.persistence.archive.split_words import split_word

_MASK_ENDS = ("_mask", "_masks")

RecordsOf = dict[str, list[Record]]
"""What is said of each picture, by its name."""


def find_pictures(
    view: FolderView, records: Iterable[Record], ledger: Ledger, pairing: Counter[str]
) -> RecordsOf:
    """Return the records by the picture that they are of, and count by which rule they found it."""
    noter = Noter(ledger)
    pictures = Pictures(view.pictures)
    listed: RecordsOf = defaultdict(list)
    found: RecordsOf = defaultdict(list)
    alone: list[Record] = []
    records = [*records]
    sure = iter(pictures.alone([record.file for record in records if not record.place]))
    for record in records:
        if record.place:
            listed[record.file].append(record)
            continue
        if name := next(sure):
            pairing["name and folder"] += 1
            found[name].append(record)
            continue
        named = pictures.like(record.file, record.picture)
        if len(named) > 1 and record.raw is None:
            for name in named:
                noter.picture(why.SHARED_NAME, record, name)
            noter.leave_all(why.AMBIGUOUS, record, "")
        elif named:
            pairing["name and folder"] += 1
            for name in named:  # YOLO: pictures that differ in their extension share labels
                found[name].append(record)
            for name in named[1:]:
                ledger.found[ANNOTATIONS] += len(record.found) + len(record.problems)
                noter.picture(why.SHARED_LABELS, record, name)
        else:
            alone.append(record)
    missing: list[Record] = []
    for file, some in listed.items():
        paths = _listed(pictures, file, some)
        in_splits = _in_their_splits(pictures, file, some, paths)
        for record in some:
            path = paths.get(record.picture) or in_splits.get((record.split, record.picture))
            if path is None:
                missing.append(record)
            else:
                pairing["path in the file"] += 1
                found[path].append(record)
    if view.any_split and (alone or missing):
        elsewhere = _in_other_splits(view, found, [*alone, *missing])
        for record, path in elsewhere:
            pairing["name in another split"] += 1
            found[path].append(record)
        done = {id(record) for record, _ in elsewhere}
        alone, missing = ([r for r in some if id(r) not in done] for some in (alone, missing))
    nearly = pictures.nearly((record.file for record in alone), found.keys()) if alone else {}
    for record in alone:
        picture = nearly.get(record.file)
        if picture is None:
            noter.leave_all(why.NO_PICTURE, record, record.picture)
            continue
        pairing["nearly the same name"] += 1
        noter.picture(why.NEARLY, record, picture)
        found[picture].append(record)
    for record in missing:
        noter.picture(why.MISSING, record, record.picture)
        noter.leave_all(why.NO_PICTURE, record, record.picture)
    return found


def _listed(pictures: Pictures, file: str, records: list[Record]) -> dict[str, str]:
    """Return the pictures that a file lists, by what it calls them."""
    paths = pictures.find(file, (record.picture for record in records))
    missing = [r for r in records if r.also and r.picture not in paths]
    others = pictures.find(file, (record.also for record in missing))
    taken = set(paths.values())
    return paths | {
        r.picture: path for r in missing if (path := others.get(r.also)) not in taken and path
    }


def _in_other_splits(
    view: FolderView, found: RecordsOf, records: Iterable[Record]
) -> list[tuple[Record, str]]:
    """Return records with the picture of their name in another split, which no other is of."""
    rest = Pictures((n for n in view.pictures if n not in found), any_split=True)
    result: list[tuple[Record, str]] = []
    lists: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.place:
            lists[record.file].append(record)
        elif len(named := rest.like(record.file, record.picture)) == 1:
            result.append((record, named[0]))
    for file, some in lists.items():
        paths = _listed(rest, file, some)
        result += [(r, paths[r.picture]) for r in some if r.picture in paths]
    return result


def _in_their_splits(
    pictures: Pictures, file: str, records: Iterable[Record], known: Container[str]
) -> dict[tuple[str | None, str], str]:
    """Return the pictures of names that mean one in each split, by split and name."""
    names: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.split and record.picture not in known:
            names[record.split].append(record.picture)
    return {
        (said, name): picture
        for said, some in names.items()
        if (split := split_word(said)) is not None
        for name, picture in pictures.find(file, some, split).items()
    }


def pictures_to_take(
    view: FolderView, by_picture: RecordsOf, ledger: Ledger, *, unlabelled: bool
) -> list[str]:
    """Count all pictures, and return those to take, without masks of others.

    Parameters
    ----------
    view : FolderView
    by_picture : dict of str to list of Record
    ledger : Ledger
    unlabelled : bool
        Whether those that nothing is said of are taken.
    """
    ledger.found[PICTURES] += len(view.pictures)
    folders = {name[: max(name.rfind("/"), 0)] for name in by_picture}
    rest: dict[str, list[str]] = defaultdict(list)
    for name in view.pictures:
        if name not in by_picture and (folder := name.rpartition("/")[0]) not in folders:
            rest[folder].append(name)
    stems = {_bare(name) for name in by_picture} if rest else set()
    masks = {
        name
        for names in rest.values()
        if by_picture and all(_bare(name) in stems for name in names)
        for name in names
    }
    for name in sorted(masks):
        ledger.add(Entry(PICTURES, "left", why.MASK_FOLDER, name, 0, name))
    beside = _masks_beside(view.pictures, by_picture.keys() | masks)
    for name in beside:
        ledger.add(Entry(PICTURES, "left", why.MASK_BESIDE, name, 0, name))
    masks.update(beside)
    names = [name for name in view.pictures if name not in masks]
    if unlabelled:
        return names
    for name in names:
        if name not in by_picture:
            ledger.add(Entry(PICTURES, "left", why.UNLABELLED_LEFT, name, 0, name))
    return [name for name in names if name in by_picture]


def _masks_beside(pictures: Iterable[str], others: Container[str]) -> list[str]:
    """Return pictures such as ``a_mask.png`` beside ``a.jpg`` that nothing is said of."""
    called = {name: name[: max(name.rfind("."), 0)] for name in pictures}
    masks = [n for n, stem in called.items() if stem.endswith(_MASK_ENDS) and n not in others]
    stems = set(called.values()) if masks else set()
    return [name for name in masks if called[name].rpartition("_")[0] in stems]


def split_told(record: Record) -> str | None:
    """Return the split that a record tells, by itself or by where its file lies."""
    if record.split:
        return split_word(record.split)
    if record.place:
        return split_of(record.file)
    return split_of_folder(record.file.rpartition("/")[0])


def _bare(name: str) -> str:
    return fold(name.rpartition("/")[2].rpartition(".")[0])
