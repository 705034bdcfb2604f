"""What the plan of a transaction says, and what it may say, whoever wrote it.

A plan stands in ``plan.json`` of its transaction's folder from before the first file is
touched until all of them are where they shall be: a list of renames below one root, and logs
that get longer. One that is found later is of a change that was not finished, and the next
process takes it back, also if it was written on another machine; so it may come from a
stranger, too. It is heeded only if a transaction of ours could have written it: each path has
a form from the lists here, each rename goes from one kind of place to another that it can go
to, and what lies at both ends fits. New plans are held against the same lists before they
are written, so that no change that we can make is refused when it has to be taken back.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workbench.errors import InvalidDatasetError
from workbench.persistence.storage.keys import parts_of
from workbench.persistence.storage.layout import Layout, Place
from workbench.persistence.storage.local import inside
from workbench.persistence.yolo.names import HIDDEN


class Step(NamedTuple):
    """A file or folder that gets another path; both are relative to the root.

    Parameters
    ----------
    source, target : str
    replaces : bool
        Whether a file is at `target` when the step's turn comes: kept as ``old-<number>`` in
        the transaction's folder.
    """

    source: str
    target: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a transaction does.

    Parameters
    ----------
    steps : list of Step
        In their order.
    appended : list of (str, int or None)
        Logs, relative to the root, that get longer, with the length that they had; None if
        they were not there.
    made : list of str
        Folders, relative to the root, that are made on the way.
    forward : bool
        Whether it is to be carried out instead: older versions of Workbench wrote plans that
        know no way back.
    """

    steps: list[Step]
    appended: list[tuple[str, int | None]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    forward: bool = False

    def to_bytes(self) -> bytes:
        """Return the bytes of ``plan.json``."""
        # In ASCII: names of files need not be UTF-8 and then hold lone surrogates.
        content = {"steps": self.steps, "appended": self.appended, "made": self.made}
        return json.dumps(content).encode()

    def ends(self) -> Iterator[str]:
        """Yield everything that is written, relative to the root."""
        yield from (step.target for step in self.steps)
        yield from (path for path, _ in self.appended)


_WAYS = frozenset(
    {
        (Place.NEW, Place.IMAGE),
        (Place.NEW, Place.LABELS),
        (Place.NEW, Place.OURS),
        (Place.NEW, Place.TRASH),
        (Place.IMAGE, Place.IMAGE),
        (Place.IMAGE, Place.TRASH),
        (Place.IMAGE, Place.GONE),
        (Place.LABELS, Place.LABELS),
        (Place.LABELS, Place.TRASH),
        (Place.LABELS, Place.GONE),
        (Place.OURS, Place.GONE),
        (Place.ENTRY, Place.GONE),
        (Place.TRASH, Place.IMAGE),
        (Place.TRASH, Place.LABELS),
        (Place.CLONE, Place.IMAGE),
        (Place.MODEL, Place.MODEL),
        (Place.MODEL, Place.TRASH),
        (Place.TRASH, Place.MODEL),
        (Place.NEW, Place.PART),
        (Place.CLONE, Place.PART),
        (Place.DRAFT, Place.MODEL),
        (Place.NEW, Place.ANY),
        (Place.CLONE, Place.ANY),
        (Place.ANY, Place.ANY),
        (Place.ANY, Place.GONE),
    }
)

_FOLDERS = frozenset({Place.MODEL, Place.DRAFT, Place.ENTRY})


def checked(content: Any, own: str, layout: Layout) -> Plan:
    """Return a plan if a transaction of ours could have written it; looks at no file.

    Parameters
    ----------
    content : object
        What stands in ``plan.json``.
    own : str
        The name of the transaction's own folder.
    layout : Layout

    Raises
    ------
    InvalidDatasetError
        If none could.
    """
    match content:
        case list():
            plan = Plan([Step(*_pair(step), replaces=False) for step in content], forward=True)
        case {"steps": list(steps), "appended": list(appended), "made": list(made)}:
            folders = [_folder(path) for path in made]
            plan = Plan([_step(s) for s in steps], [_log(log) for log in appended], folders)
        case _:
            raise InvalidDatasetError("it is no list of renames")
    require_plausible(plan, own, layout)
    return plan


def _pair(step: Any) -> tuple[str, str]:
    match step:
        case [str(source), str(target)]:
            return source, target
    raise InvalidDatasetError(f"it holds {step!r}, which is no rename")


def _step(step: Any) -> Step:
    match step:
        case [str(source), str(target), bool(replaces)]:
            return Step(source, target, replaces)
    raise InvalidDatasetError(f"it holds {step!r}, which is no rename")


def _folder(path: Any) -> str:
    if isinstance(path, str):
        return path
    raise InvalidDatasetError(f"it makes {path!r}, which is no folder")


def _log(log: Any) -> tuple[str, int | None]:
    match log:
        case [str(path), None]:
            return path, None
        case [str(path), int(size)] if size >= 0:
            return path, size
    raise InvalidDatasetError(f"it holds {log!r}, which is no log and its length")


def require_plausible(plan: Plan, own: str, layout: Layout) -> None:
    """Make sure that a transaction of ours could have written a plan; see `checked`."""
    for source, target, _ in plan.steps:
        way = (_place(source, own, layout), _place(target, own, layout))
        if way not in _WAYS:
            raise InvalidDatasetError(
                f"it would move {source!r} ({way[0].value}) to {target!r} ({way[1].value}), "
                f"which no change of ours does"
            )
    for path, _ in plan.appended:
        if not layout.is_log(parts_of(path)):
            raise InvalidDatasetError(f"it appends to {path!r}, which is no log of ours")
    if plan.made:
        _require_on_the_way(plan)


def _require_on_the_way(plan: Plan) -> None:
    parents: set[str] = set()
    for path in plan.ends():
        parent = path.rpartition("/")[0]
        while parent and parent not in parents:
            parents.add(parent)
            parent = parent.rpartition("/")[0]
    for path in plan.made:
        if path not in parents:
            raise InvalidDatasetError(f"it makes {path!r}, where nothing comes to")


def _place(path: Any, own: str, layout: Layout) -> Place:
    parts = parts_of(path)
    match parts:
        case [folder, "tx", name, new] if folder == HIDDEN and name == own:
            if new.isascii() and new.isdigit():
                return Place.NEW
            if new.startswith("gone-"):
                return Place.GONE
    found = layout.place_of(parts)
    if found is None:
        raise InvalidDatasetError(f"it names {path!r}, which no change of ours touches")
    return found


def require_possible(
    root: str, mode_of: Callable[[str], int], plan: Plan, own: str, layout: Layout
) -> None:
    """Make sure that what lies at both ends of each rename fits the plan.

    Of each, one end may be empty, because it was done or was not.

    Parameters
    ----------
    root : str
    mode_of : callable
        Returns the mode of what is at a path relative to the root, 0 if nothing is.
    plan : Plan
    own : str
        Name of the transaction's folder.
    layout : Layout

    Raises
    ------
    InvalidDatasetError
        If a link is on the way, or a file is where a folder should be or the other way round.
    """
    for number, (source, target, replaces) in enumerate(plan.steps):
        ends = [parts_of(source), parts_of(target)]
        places = {layout.place_of(parts) for parts in ends}
        if plan.forward and Place.ENTRY in places:
            _require_emptied(root, plan, source)
        is_folder = None if Place.ANY in places else not places.isdisjoint(_FOLDERS)
        is_staged = ends[0][:2] == [HIDDEN, "tx"]
        here, there = mode_of(source), mode_of(target)
        if here and (not _fits(here, is_folder) or (is_staged and not stat.S_ISREG(here))):
            raise InvalidDatasetError(
                f"{source!r} is not what it would be if a change of ours had been under way"
            )
        if there and plan.forward and here and stat.S_ISDIR(there):
            raise InvalidDatasetError(f"a folder is at {target!r}, where nothing or a file was")
        if there and not plan.forward and not _fits(there, is_folder):
            raise InvalidDatasetError(f"{target!r} is not what this change would have made it")
        old = mode_of(f"{HIDDEN}/tx/{own}/old-{number}") if replaces else 0
        if old and not _is_file(old):
            raise InvalidDatasetError(f"what {target!r} was is no file")


def _require_emptied(root: str, plan: Plan, entry: str) -> None:
    """Make sure that a plan removes no more of the trash than an entry that it has restored.

    Else two steps, or two plans, could destroy what the user has never deleted. An entry whose
    purge was cut off in an early version stays in the trash, to be purged again.
    """
    inner = f"{entry}/"
    restored = {step.source for step in plan.steps if not step.target.startswith(inner)}
    left = {f"{inner}{name}" for name in inside.names(root, entry)} - restored
    put = [step.target for step in plan.steps if step.target.startswith(inner)]
    if put or left - {f"{inner}entry.json"}:
        raise InvalidDatasetError(f"it would purge {entry!r}, which is for the user to do")


def _fits(mode: int, is_folder: bool | None) -> bool:
    # A link is renamed and not followed: users have some among images and models.
    if is_folder is None:
        return _is_file(mode) or stat.S_ISDIR(mode)
    return stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) if is_folder else stat.S_ISREG(mode))


def _is_file(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
