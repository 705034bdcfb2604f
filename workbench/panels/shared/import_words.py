"""What the pages of an import say: plans and accounts as plain values that a page shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from workbench.datasets.formats.accounts import Account
from workbench.datasets.formats.encodings import ENCODINGS
from workbench.datasets.formats.ledger import UNITS, Entry, Ledger
from workbench.datasets.formats.merging import MergePlan
from workbench.datasets.formats.plan import ImportPlan
from workbench.datasets.formats.reasons import PICTURE_THERE, SENTENCES, THERE_ALREADY
from workbench.datasets.formats.registry import READERS
from workbench.panels.shared.choice_words import in_page_words
from workbench.persistence.models import SPLITS, ImageKey

LINES = 200
"""So many lines of one reason are shown at once."""
_FILES = 100
_CLASSES = 2000

Key = tuple[str, str, str]
"""Unit, outcome and reason."""

_OUTCOMES = ("left", "repaired", "noted")
_CHOICES: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "one_based",
        "Pixels count from",
        (("", "as the file’s origin says"), ("no", "0"), ("yes", "1")),
    ),
    (
        "unlabelled",
        "Pictures without annotation",
        (("take", "come in, not labelled yet"), ("leave", "are left out")),
    ),
    (
        "polygons",
        "Polygons, masks, rotated boxes",
        (("box", "the box around them is taken"), ("leave", "are left out")),
    ),
    (
        "crowds",
        "Crowds (iscrowd)",
        (
            ("auto", "are left out where there is more"),
            ("take", "are taken"),
            ("leave", "are left out"),
        ),
    ),
    (
        "convert",
        "Pictures that training does not read",
        (
            ("ask", "come in where they can be stored"),
            ("png", "become PNG"),
            ("jpeg", "become JPEG"),
            ("no", "stay as they are, or are left out"),
        ),
    ),
    (
        "clashes",
        "A name that is taken",
        (
            ("rename", "the new picture is renamed"),
            ("skip", "the new picture is left out"),
            ("replace", "the new picture replaces the other"),
        ),
    ),
)
_ROWS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "rows",
        "The numbers of a row are",
        (
            ("auto", "as they fit into the pictures"),
            ("centre", "x y width height, of the centre as YOLO has it"),
            ("corners", "x1 y1 x2 y2"),
            ("sides", "left top width height"),
        ),
    ),
    (
        "units",
        "The numbers of a row count",
        (
            ("auto", "as they fit into the pictures"),
            ("fractions", "fractions of the picture (0..1)"),
            ("pixels", "pixels"),
            ("percent", "percent of the picture"),
        ),
    ),
)
_IDS = (
    "first_id",
    "Class ids count from",
    (("auto", "as the names tell"), ("0", "0"), ("1", "1")),
)
_FORMAT = "Format to take"
_TEXT = ("encoding", "Text that is not in UTF-8 is", tuple(ENCODINGS.items()))
_WITH_LISTS = ("csv", "imagefolder")
_WITH_IDS = ("yolo", "csv", "keras-yolo")
_STEPS = (1, 2, 5, 10, 15, 25, 30, 50, 100, 300)
"""Every how many frames of a video one can be taken, on the page."""

_INTO: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "existing",
        "Pictures that have labels already",
        (
            ("keep", "keep them"),
            ("add", "get more boxes"),
            ("replace", "get the new labels instead"),
        ),
    ),
    (
        "new",
        "Pictures that are not there yet",
        (("add", "are added"), ("leave", "are left out")),
    ),
)


def title_of(format: str) -> str:
    """Return what a format is called."""
    return READERS[format].TITLE if format in READERS else "Pictures"


def plan_page(
    plan: ImportPlan | MergePlan,
    *,
    origin: str,
    name: str,
    datasets: Sequence[str],
    opened: Key | None = None,
) -> dict[str, Any]:
    """Return what the page of a plan shows.

    Parameters
    ----------
    plan : ImportPlan or MergePlan
    origin : str
        What people call the source.
    name : str
        Of the dataset to make.
    datasets : sequence of str
        Those that it can go into.
    opened : (str, str, str), optional
        The reason whose lines are shown.
    """
    into = plan.dataset if isinstance(plan, MergePlan) else ""
    ledger = plan.ledger
    page = {
        "kind": "plan",
        "title": origin,
        "format": title_of(plan.format),
        "sure": plan.confidence,
        "reason": plan.reason,
        "questions": [_in_words(question) for question in plan.questions],
        "answers": _answers(plan),
        "into": into,
        "name": name,
        "datasets": list(datasets),
        "units": _units(ledger),
        "classes": _classes(plan),
        "known": plan.classes if into else [],
        "splits": _splits(plan),
        "pairs": [{"rule": rule, "count": n} for rule, n in plan.pairing.items()],
        "rows": [row | {"text": _in_words(row["text"])} for row in reason_rows(ledger, {}, opened)],
        "notes": [_in_words(note) for note in other_notes(plan.notes, ledger)],
        "choices": _choices(plan),
    }
    if isinstance(plan, MergePlan):
        page["facts"] = plan.facts()
    return page


def _in_words(text: str) -> str:
    formats = tuple((name, title_of(name)) for name in READERS)
    more = (_IDS, _TEXT, ("format", _FORMAT, formats))
    return in_page_words(text, (*_CHOICES, *_ROWS, *more))


def _answers(plan: ImportPlan | MergePlan) -> list[list[str]]:
    """Return the choices that answer what is asked: key, value, and words for a button."""
    if any(counts["images"] for counts in plan.counts().values()):
        return [["unknown", "ignore", "Import the pictures alone"]]
    return [
        ["convert", "png", "Make PNG pictures of them"],
        ["convert", "jpeg", "Make JPEG pictures of them"],
        ["convert", "no", "Leave them out"],
    ]


def _units(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "unit": unit,
            "found": ledger.found[unit],
            "taken": ledger.taken[unit],
            "repaired": ledger.repaired(unit),
            "left": ledger.left(unit),
        }
        for unit in UNITS
    ]


def _classes(plan: ImportPlan | MergePlan) -> list[dict[str, Any]]:
    numbers = {name: number for number, name in enumerate(plan.classes)}
    near = plan.near_classes if isinstance(plan, MergePlan) else {}
    rows = []
    for name, boxes in plan.source_classes.items():
        to = plan.choices.class_of(name)
        number = None if to is None else numbers.get(to)
        row = {"name": name, "boxes": boxes, "to": to, "number": number}
        rows.append({**row, "near": near.get(name, "")})
    return rows[:_CLASSES]


def _splits(plan: ImportPlan | MergePlan) -> list[dict[str, Any]]:
    return [
        {"split": split, **counts, "to": plan.choices.splits.get(split, split)}
        for split, counts in plan.source_splits().items()
        if counts["images"]
    ]


def _choices(plan: ImportPlan | MergePlan) -> list[dict[str, Any]]:
    """Return what can be chosen, each with its values and the one that is set."""
    found = []
    if plan.others:
        names = [plan.format, *plan.others]
        values = [(name, title_of(name)) for name in names]
        found.append(_choice("format", _FORMAT, values, plan.format))
    if isinstance(plan, MergePlan):
        now = {"existing": plan.existing, "new": plan.new_pictures}
        found += [_choice(key, label, some, now[key]) for key, label, some in _INTO]
    one_based = {None: "", False: "no", True: "yes"}[plan.choices.one_based]
    more = _ROWS if plan.format == "yolo" else _ROWS[:1] if plan.format in _WITH_LISTS else ()
    more += (_IDS,) if plan.format in _WITH_IDS else ()
    if plan.has_other_text:
        more += (_TEXT,)
    for key, label, some in _CHOICES + more:
        value = one_based if key == "one_based" else getattr(plan.choices, key)
        found.append(_choice(key, label, some, value))
    if plan.videos:
        found.append(_frames(plan))
    return found


def _frames(plan: ImportPlan | MergePlan) -> dict[str, Any]:
    step = plan.choices.frame_step
    usual = "of a video alone about one for each second is taken, else none"
    steps = sorted({*_STEPS, step} - {0})
    values = [(str(n), "each is taken" if n == 1 else f"each {n}. is taken") for n in steps]
    return _choice("frame_step", "Frames of the videos", [("0", usual), *values], str(step))


def _choice(key: str, label: str, values: Iterable[tuple[str, str]], value: str) -> dict[str, Any]:
    return {"key": key, "label": label, "values": [list(pair) for pair in values], "value": value}


def chosen_value(key: str, value: str) -> Any:
    """Return what a choice on the page means to a plan."""
    if key == "frame_step":
        return int(value)
    return {"": None, "no": False, "yes": True}[value] if key == "one_based" else value


def account_page(
    account: Account,
    dataset: str,
    present: Collection[ImageKey],
    *,
    can_undo: bool,
    fresh: bool,
    opened: Key | None = None,
) -> dict[str, Any]:
    """Return what the page of an account shows.

    Parameters
    ----------
    account : Account
    dataset : str
        That it belongs to.
    present : collection of (str, str)
        The pictures that the dataset has.
    can_undo : bool
    fresh : bool
        Whether the import has just been done.
    opened : (str, str, str), optional
        The reason whose lines are shown.
    """
    ledger = account.ledger
    found = pictures_in(account, present)
    return {
        "kind": "account",
        "dataset": dataset,
        "id": account.id,
        "at": f"{account.at.astimezone():%Y-%m-%d %H:%M}",
        "title": _source(account),
        "format": title_of(ledger.format),
        "fresh": fresh,
        "can_undo": can_undo,
        "confirm": "",
        "units": _units(ledger),
        "by_split": _by_split(ledger),
        "by_file": _by_file(ledger),
        "rows": reason_rows(ledger, found, opened),
        "notes": other_notes(account.notes, ledger),
    }


def accounts_page(accounts: Sequence[Account], dataset: str) -> dict[str, Any]:
    """Return what the list of a dataset's imports shows, the newest first."""
    return {
        "kind": "accounts",
        "dataset": dataset,
        "rows": [
            {
                "id": account.id,
                "at": f"{account.at.astimezone():%Y-%m-%d %H:%M}",
                "source": _source(account),
                "format": title_of(account.ledger.format),
                "units": _units(account.ledger),
            }
            for account in reversed(accounts)
        ],
    }


def _source(account: Account) -> str:
    return f"{account.source} (undone)" if account.undone else account.source


def pictures_in(account: Account, present: Collection[ImageKey]) -> dict[str, ImageKey]:
    """Return the dataset's pictures that an account speaks of, by their names in the source.

    A picture that was moved to another split since is found there.
    """
    keys = set(present)
    by_name: dict[str, list[ImageKey]] = defaultdict(list)
    for key in keys:
        by_name[key[1]].append(key)
    found = {}
    for name, place in account.pictures.items():
        split, _, filename = place.partition("/")
        same = by_name.get(filename, [])
        if (split, filename) in keys:
            found[name] = (split, filename)
        elif len(same) == 1:
            found[name] = same[0]
    return found


def pictures_of(account: Account, present: Collection[ImageKey], key: Key) -> list[ImageKey]:
    """Return the pictures that one row of an account is about, each once."""
    found = pictures_in(account, present)
    named = (found.get(entry.picture) for entry in entries_of(account.ledger, key))
    return list(dict.fromkeys(picture for picture in named if picture is not None))


def entries_of(ledger: Ledger, key: Key) -> list[Entry]:
    """Return what is kept of one row: unit, outcome and reason."""
    return [e for e in ledger.entries if (e.unit, e.outcome, e.reason) == key]


def shortly(ledger: Ledger, key: Key) -> str:
    """Return what a row says, without its example."""
    return ledger.sentence_of(key).partition(", such as")[0] if key[2] in SENTENCES else key[2]


def reason_rows(
    ledger: Ledger, found: Mapping[str, ImageKey], opened: Key | None
) -> list[dict[str, Any]]:
    """Return a row for each kind of what was left, repaired or noted, in this order."""
    entries: dict[Key, list[Entry]] = defaultdict(list)
    for entry in ledger.entries:
        entries[entry.unit, entry.outcome, entry.reason].append(entry)
    sentences = ledger.sentence_of
    order = {outcome: place for place, outcome in enumerate(_OUTCOMES)}
    keys = sorted((key for key in ledger.reasons if key[1] in order), key=lambda key: order[key[1]])
    rows = []
    for key in keys:
        kept = entries[key]
        pictures = {found[e.picture] for e in kept if e.picture in found}
        row: dict[str, Any] = {
            "key": list(key),
            "count": ledger.reasons[key],
            "text": sentences(key) if key[2] in SENTENCES else key[2],
            "lines": len(kept),
            "pictures": len(pictures),
        }
        if key == opened:
            row["shown"] = [_line(entry) for entry in kept[:LINES]]
        rows.append(row)
    return rows


def _line(entry: Entry) -> list[str]:
    place = f"{entry.place:,}" if entry.place else ""
    picture = entry.picture if entry.picture != entry.file else ""
    return [entry.file or entry.picture, place, picture, entry.split, entry.detail]


def other_notes(notes: Iterable[str], ledger: Ledger) -> list[str]:
    """Return the notes that say something else than the rows do."""
    told = set(ledger.sentences())
    return [note for note in notes if note not in told]


def _by_split(ledger: Ledger) -> list[dict[str, Any]]:
    left = Counter((e.unit, e.split) for e in ledger.entries if e.outcome == "left" and e.split)
    return [
        {
            "split": split,
            "pictures": ledger.by_split["pictures", split],
            "annotations": ledger.by_split["annotations", split],
            "left": left["annotations", split],
        }
        for split in SPLITS
        if any(ledger.by_split[unit, split] for unit in UNITS) or left["annotations", split]
    ]


def _by_file(ledger: Ledger) -> list[dict[str, Any]]:
    """Return how much was left, repaired and noted of each file, of the worst of them.

    What a dataset has already is nothing bad, and may be all of thousands of pictures.
    """
    counts: Counter[tuple[str, str]] = Counter(
        (e.file or e.picture, e.outcome)
        for e in ledger.entries
        if e.reason not in (PICTURE_THERE, THERE_ALREADY)
    )
    files = sorted(
        dict.fromkeys(file for file, _ in counts),
        key=lambda file: [-counts[file, outcome] for outcome in _OUTCOMES],
    )
    return [
        {"file": file, **{outcome: counts[file, outcome] for outcome in _OUTCOMES}}
        for file in files[:_FILES]
    ]
