"""What comes of an import: everything is looked at once, counted, and given its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from workbench.datasets.changes import counted
from workbench.datasets.formats import encodings
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.choices import Choices
from workbench.datasets.formats.class_order import take_order
from workbench.datasets.formats.columns import count_labels
from workbench.datasets.formats.converting import converted
from workbench.datasets.formats.embedded import with_embedded
from workbench.datasets.formats.file_names import (
    CONVERTIBLE,
    OTHER_PICTURES,
    VIDEOS,
    extension,
    hidden,
)
from workbench.datasets.formats.given_splits import given_splits
from workbench.datasets.formats.items import Detection, Options, Reading
from workbench.datasets.formats.ledger import ANNOTATIONS, FILES, PICTURES, Entry, Ledger
from workbench.datasets.formats.reading import Picture, Taken, take
from workbench.datasets.formats.recognising import Recognised, kind_of, question, recognise
from workbench.datasets.formats.registry import READERS, making_sense
from workbench.datasets.formats.view import FolderView
from workbench.datasets.importing import split_by_ratio
from workbench.errors import (
    ArchiveError,
    ImportFormatError,
    InvalidDatasetError,
)
from workbench.persistence import IMAGE_EXTENSIONS
from workbench.persistence.archive import Layout, plan_layout
from workbench.persistence.archive.data_yaml import MAX_CLASSES
from workbench.persistence.archive.split_lists import GivenSplits
from workbench.persistence.links import remedy_of_folder
from workbench.persistence.models import (
    SPLITS,
    Progress,
)
from workbench.persistence.rules import check_classes
from workbench.persistence.storage.collector import paused_collector


@dataclass(frozen=True, slots=True)
class Contents:
    """What the plan of an import has found.

    Parameters
    ----------
    recognised : Recognised
    reading : Reading
    pictures : list of Picture
    classes : list of str
    targets : dict of str to str
        Where each picture and each of our own files goes, by its name.
    ledger : Ledger
    notes : list of str
    questions : list of str
        What has to be answered first.
    view : FolderView
        Where all of it is read from: the source, or it with pictures that were made.
    pairing : Counter of str
        How many pictures found their annotations by which rule.
    labels : Counter of str
        How many boxes of each class were read, by its name in the source.
    videos : tuple of str
        Those in the source, of which frames can be taken.
    """

    recognised: Recognised
    reading: Reading
    pictures: list[Picture]
    classes: list[str]
    targets: dict[str, str]
    ledger: Ledger
    notes: list[str]
    questions: list[str]
    view: FolderView
    pairing: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    videos: tuple[str, ...] = ()


def contents_of(view: FolderView, choices: Choices, progress: Progress) -> Contents:
    """Look at everything once, and say what would come of it. Blocks."""
    with paused_collector():
        return _contents_of(view, choices, progress)


def _contents_of(view: FolderView, choices: Choices, progress: Progress) -> Contents:
    view.read_as(choices.encoding)
    if not view.pictures and (asked_first := _ask_about_pictures(view, choices)):
        return _nothing_yet(view, asked_first)
    videos = tuple(view.others(VIDEOS))
    view = with_embedded(view)
    view, failed = converted(view, choices, progress)
    if failed and not view.pictures:
        raise ImportFormatError("; ".join(list(failed.values())[:3]))
    recognised = recognise(view, choices.format)
    if not view.pictures:
        _refuse_links(view)
        try:
            plan_layout(view.names)  # which tells what is missing
        except ArchiveError as error:
            raise ArchiveError(f"{view.path}: {error}") from error
    total = len(view.pictures)
    options = Options(choices.one_based, lambda: progress(0, total))
    reading = Reading()
    ledger = Ledger(recognised.format or "pictures")
    with making_sense(view, recognised.format) if recognised.format else nullcontext():
        if recognised.format:
            reading = READERS[recognised.format].read(view, recognised.detection, options)
            reading.unreadable += recognised.damaged.items()
        taken = take(view, reading, choices, ledger, progress)
    if not taken.pictures:
        raise ImportFormatError(
            f"{view.path}: expected images, found none that can be read; download or export them "
            f"again"
        )
    if recognised.format and not taken.pairing and ledger.found[ANNOTATIONS]:
        if asked_first := _ask_about_pictures(view, choices):
            return _nothing_yet(view, asked_first)
        first = next(
            (e.picture or e.file for e in ledger.entries if e.reason == why.NO_PICTURE), ""
        )
        raise ImportFormatError(
            f"{view.path}, {recognised.detection.files[0]}: expected the pictures that it is "
            f"about, found none of them, such as {first!r}; export with images, or put them into "
            f"a folder images beside it"
        )
    take_order(view, reading, taken.labels)
    _give_splits(view, taken, choices)
    classes = _classes(view, reading, choices, taken.pictures, taken.labels)
    layout = _layout(view, taken.pictures)
    if layout.clashes and choices.clashes != "rename":
        _leave_clashes(taken.pictures, layout.clashes, choices.clashes, ledger)
        layout = _layout(view, taken.pictures)
    targets = layout.targets
    for picture in taken.pictures:
        split = picture.split or SPLITS[0]
        ledger.by_split[PICTURES, split] += 1
        ledger.by_split[ANNOTATIONS, split] += picture.num_boxes
    _count_files(view, recognised, reading, targets, failed, ledger)
    ledger.check()
    asked = _asked(view, recognised, reading) if choices.unknown == "ask" else ""
    notes = [*view.notes, *reading.notes, *ledger.sentences(), *layout.notes]
    notes += why.on_spellings(classes)
    if view.not_in_utf8:
        notes.append(encodings.note_of(view.not_in_utf8, choices.encoding))
    if choices.shares:
        shares = ", ".join(f"{share:g} to {split}" for split, share in choices.shares.items())
        notes.append(f"images were dealt out to splits at random: {shares}, seed {choices.seed}")
    for name, other in recognised.others.items():
        if reading.used.issuperset(other.files):
            continue  # read already, and not like this
        notes.append(
            f"there is {READERS[name].TITLE} as well ({other.reason}), which was not taken; choose "
            f"format={name!r} to take it instead"
        )
    shown_empty = any(picture.rows is not None for picture in taken.pictures)
    if recognised.format and ledger.found[ANNOTATIONS] == 0 and shown_empty:
        notes.append(
            "no annotation file has a box: all images that they list came in as showing nothing; "
            "if they are not annotated yet, import the pictures without the files"
        )
    return Contents(
        recognised,
        reading,
        taken.pictures,
        classes,
        targets,
        ledger,
        notes,
        [asked] if asked else [],
        view,
        taken.pairing,
        taken.labels,
        videos,
    )


def _asked(view: FolderView, recognised: Recognised, reading: Reading) -> str:
    """Return what is asked about annotations of which nothing could be read; empty if nothing."""
    if not recognised.format:
        return question(view, recognised.unknown) if recognised.unknown else ""
    # A dataset may have a list of classes alone, and no annotation file at all.
    unread = {name for name, _ in reading.unreadable}
    if not unread or not unread.issuperset(recognised.detection.files):
        return ""
    first, problem = reading.unreadable[0]
    return (
        f"{view.path}: found {counted(len(reading.unreadable), 'annotation file')} "
        f"({READERS[recognised.format].TITLE}), and not one can be read, such as {first!r} "
        f"({problem}). Import the pictures alone (unknown='ignore'), or export the annotations "
        f"again"
    )


def _ask_about_pictures(view: FolderView, choices: Choices) -> str:
    """Return what is asked where the pictures that matter are some that training does not read."""
    found = view.others(CONVERTIBLE)
    if not found or choices.convert != "ask":
        return ""
    return (
        f"{view.path}: found {counted(len(found), 'picture')} in formats that training does not "
        f"read, such as {found[0]!r}; choose convert='png' (or 'jpeg') to take copies of them that "
        f"it reads, or convert='no' to leave them out"
    )


def _nothing_yet(view: FolderView, asked: str) -> Contents:
    """Return what is known before the question about the pictures is answered."""
    recognised = Recognised("", Detection())
    ledger = Ledger("pictures")
    for name in view.others(CONVERTIBLE):
        ledger.found[PICTURES] += 1
        ledger.add(Entry(PICTURES, "left", why.NO_CODEC, name, 0, name))
    return Contents(recognised, Reading(), [], [], {}, ledger, list(view.notes), [asked], view)


def _give_splits(view: FolderView, taken: Taken, choices: Choices) -> None:
    pictures, ledger = taken.pictures, taken.ledger
    dealt: dict[str, str] = {}
    listed: dict[str, str] = {}
    if choices.shares:
        dealt = split_by_ratio((p.name for p in pictures), choices.shares, choices.seed)
    # Lists in a folder of that name are of the splits; those in others may be of anything else,
    # and count where folders tell nothing.
    lists = (name.lower() for name in view.candidates(".txt"))
    sure = not taken.reading.splits and any("imagesets/" in name for name in lists)
    if not dealt and (sure or any(picture.split is None for picture in pictures)):
        given = given_splits(view)
        listed = given.splits
        if listed and not given.lists <= taken.reading.used:
            taken.reading.used |= given.lists
            taken.reading.notes += given.notes
    for picture in pictures:
        if dealt:
            picture.split = dealt[picture.name]
        elif (sure or picture.split is None) and picture.name in listed:
            picture.split = listed[picture.name]
        elif picture.split is None:
            picture.split = SPLITS[0]
            ledger.add(Entry(PICTURES, "noted", why.NO_SPLIT, picture.name, 0, picture.name))
        picture.given = picture.split or SPLITS[0]
        picture.split = choices.splits.get(picture.given, picture.split)


def _classes(
    view: FolderView,
    reading: Reading,
    choices: Choices,
    pictures: Sequence[Picture],
    labels: Collection[str],
) -> list[str]:
    used = set(count_labels(picture.rows for picture in pictures))
    names: Sequence[str] = reading.classes
    if not reading.declared and isinstance(choices.classes, Mapping):
        # By the names of the source, so that a class that is renamed keeps its place.
        wanted = used.union(choices.class_list(names))
        names = sorted(n for n in {*names, *labels} if choices.class_of(n) in wanted)
    known = choices.class_list(names)
    classes = known + sorted(used - set(known))
    if len(classes) > MAX_CLASSES:
        raise ImportFormatError(
            f"{view.path}: expected at most {MAX_CLASSES:,} classes, found {len(classes):,}; take "
            "some of them with classes=[...], or give several one name with classes={name: name}"
        )
    try:
        return check_classes(classes)
    except InvalidDatasetError as error:
        raise ImportFormatError(
            f"{view.path}: {error}; rename it, or choose classes={{name: other name}}"
        ) from error


def require_known(contents: Contents, classes: Any) -> None:
    """Make sure that each class of a mapping is one of the source: a slip would do nothing."""
    if not isinstance(classes, Mapping):
        return
    there = {*contents.labels, *contents.reading.classes}
    unknown = sorted(classes.keys() - there)
    if unknown:
        raise ImportFormatError(
            f"{contents.view.path}: it has no class {unknown[0]!r} to be renamed or left out; its "
            f"classes are {', '.join(sorted(there)) or 'none':.300}"
        )


def _layout(view: FolderView, pictures: Sequence[Picture]) -> Layout:
    """Say where pictures and our own files go."""
    own = [name for name in view.names if "/.workbench/" in f"/{name}"]
    home = own[0].partition(".workbench/")[0] if own else ""
    splits = {picture.name: picture.split or SPLITS[0] for picture in pictures}
    layout = plan_layout([*splits, *own], GivenSplits(splits, home))
    for picture in pictures:
        picture.split = layout.targets[picture.name].split("/")[1]
    return layout


def _leave_clashes(
    pictures: list[Picture], clashes: Mapping[str, str], which: str, ledger: Ledger
) -> None:
    """Leave out all but one of the pictures that would have the same name."""
    gone = set(clashes)
    if which == "replace":  # the last of each name stays
        gone = gone.union(clashes.values()) - set({o: n for n, o in clashes.items()}.values())
    leave(ledger, [picture for picture in pictures if picture.name in gone], why.NAME_TAKEN)
    pictures[:] = [picture for picture in pictures if picture.name not in gone]


def leave(ledger: Ledger, pictures: Sequence[Picture], reason: str, *, whole: bool = True) -> None:
    """Count pictures that were taken as left, with their boxes; not `whole`: just these."""
    for picture in pictures:
        split = picture.split or SPLITS[0]
        units = [ANNOTATIONS] * picture.num_boxes + [PICTURES] * whole
        for unit in units:
            ledger.add(Entry(unit, "left", reason, picture.name, 0, picture.name, split))
            ledger.taken[unit] -= 1
        ledger.put_right[ANNOTATIONS] -= len(picture.repaired)
    names = {picture.name for picture in pictures}
    ledger.withdraw(names, lambda key: whole or key[0] == ANNOTATIONS or key[2] in why.OF_BOXES)


def leave_boxes(ledger: Ledger, picture: Picture, reason: str, is_left: Sequence[bool]) -> None:
    """Count some of the boxes of a picture, which were taken, as left."""
    if all(is_left):
        leave(ledger, [picture], reason, whole=False)
        return
    split = picture.split or SPLITS[0]
    for _ in filter(None, is_left):
        ledger.add(Entry(ANNOTATIONS, "left", reason, picture.name, 0, picture.name, split))
        ledger.taken[ANNOTATIONS] -= 1
    ledger.put_right[ANNOTATIONS] -= sum(is_left[number] for number in picture.repaired)


def _count_files(
    view: FolderView,
    recognised: Recognised,
    reading: Reading,
    targets: dict[str, str],
    failed: Mapping[str, str],
    ledger: Ledger,
) -> None:
    pictures, unreadable = set(view.pictures), dict(reading.unreadable)
    # What pictures were made of is taken with these.
    ledger.found[FILES] += len(view.used)
    ledger.taken[FILES] += len(view.used)
    _count_links(view, ledger)
    others = [name for name in view.names if name not in pictures]
    left = [n for n in others if not (n in reading.used or n in targets) or n in failed]
    ledger.found[FILES] += len(others) - len(left)
    ledger.taken[FILES] += len(others) - len(left)
    for name in left:
        kind = extension(name)
        if name in failed and kind not in VIDEOS:
            ledger.found[PICTURES] += 1
            reason, detail = why.NOT_CONVERTED, failed[name]
            ledger.add(Entry(PICTURES, "left", reason, name, 0, name, "", detail))
            continue
        if kind in OTHER_PICTURES and not hidden(name):
            ledger.found[PICTURES] += 1
            ledger.add(Entry(PICTURES, "left", why.NO_CODEC, name, 0, name))
            continue
        ledger.found[FILES] += 1
        if name in failed:
            detail = failed[name]
            ledger.add(Entry(FILES, "left", why.NOT_CONVERTED, name, 0, "", "", detail))
        elif name in unreadable:
            detail = unreadable[name]
            ledger.add(Entry(FILES, "left", why.FILE_UNREADABLE, name, 0, "", "", detail))
        else:
            reason = kind_of(view, name, recognised.others.values())
            ledger.add(Entry(FILES, "left", reason, name))


def _refuse_links(view: FolderView) -> None:
    """Refuse what holds no pictures but links to some, with what to do about them."""
    found = [name for name, reason in view.links.items() if reason == why.LEADS_OUT]
    if found:
        links = counted(len(found), "link that leads", "links that lead")
        raise ArchiveError(
            f"{view.path}: expected pictures, found {links} out of the folder, such as "
            f"{found[0]!r}. {remedy_of_folder(str(view.path))}"
        )


def _count_links(view: FolderView, ledger: Ledger) -> None:
    for name, reason in view.links.items():
        is_picture = extension(name) in IMAGE_EXTENSIONS and not hidden(name)
        unit = PICTURES if is_picture else FILES
        ledger.found[unit] += 1
        ledger.add(Entry(unit, "left", reason, name, 0, name if is_picture else ""))
