"""Links that lead out of a dataset: one rule, and the one place that knows it.

What lies behind such a link is *read*: it is shown, and trained on, on the user's own machine.
Nothing else: it is not changed, moved or deleted, and it does not go where it may be passed on,
into an archive, an export, a copy, a version or what an import makes of a folder. A stranger may
have put the link there, to a picture or a key of the user's own.

A user who has put the links there says so with ``WORKBENCH_FOLLOW_LINKS=1`` in the environment.
Links within a dataset are followed always.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple, Self

from workbench.errors import InvalidDatasetError

VARIABLE = "WORKBENCH_FOLLOW_LINKS"

REMEDY = f"Put the files themselves there, or set {VARIABLE}=1 if all links there are your own"

_NAMED = 3


def are_followed() -> bool:
    """Whether the user has said that links that lead out of datasets are his own."""
    return os.environ.get(VARIABLE, "") == "1"


def leads_out(root: str, path: str) -> bool:
    """Whether links lead from a path below a folder out of the folder.

    Parameters
    ----------
    root : str
        May be a link itself: whoever put it there meant it.
    path : str
    """
    real = os.path.realpath(root)
    return not _is_in(real, os.path.realpath(path))


def _is_in(real_root: str, real_path: str) -> bool:
    return real_path == real_root or real_path.startswith(f"{real_root.rstrip(os.sep)}{os.sep}")


def require_own(root: str, paths: Iterable[str]) -> None:
    """Make sure that files that are to be changed, moved or deleted lie inside a folder.

    A link in the place of a file is changed itself, not what it leads to.

    Raises
    ------
    InvalidDatasetError
        If links lead out of it, and are not to be followed.
    """
    if are_followed():
        return
    for folder in {os.path.dirname(path) for path in paths}:
        if folder != root and leads_out(root, folder):
            raise InvalidDatasetError(
                f"{folder}: expected a folder inside {root}, found a link that leads out of it; "
                f"what lies there is shown and trained on, and never changed. {REMEDY}"
            )


def require_own_content(dataset: str, root: str, path: str) -> None:
    """Make sure that one file whose contents leave this machine lies in the dataset.

    Raises
    ------
    InvalidDatasetError
        If links lead out of it, and are not to be followed.
    """
    if leads_out(root, path) and not are_followed():
        raise refusal(dataset, [os.path.relpath(path, root)], "it was not sent")


class Split(NamedTuple):
    """A split's images or labels, and which of them are links.

    Parameters
    ----------
    root : str
        Of the dataset, through no link.
    name : str
        Below the root: ``images/train``.
    path : str
        Where it really lies.
    links : frozenset of str
    """

    root: str
    name: str
    path: str
    links: frozenset[str]

    @classmethod
    def look(cls, root: str, name: str, outside: list[str]) -> Self:
        """Look at a folder; note it in `outside` if it is not in the dataset."""
        path = os.path.realpath(f"{root}/{name}")
        if not _is_in(root, path):
            outside.append(name)
        try:
            with os.scandir(path) as entries:
                links = frozenset(entry.name for entry in entries if entry.is_symlink())
        except FileNotFoundError:
            links = frozenset()
        return cls(root, name, path, links)

    def entry(self, filename: str, outside: list[str]) -> tuple[str, str]:
        """Return name and real path of a file; note it in `outside` if a link leads there."""
        name = f"{self.name}/{filename}"
        if filename not in self.links:
            return name, f"{self.path}/{filename}"
        path = os.path.realpath(f"{self.path}/{filename}")
        if not _is_in(self.root, path):
            outside.append(name)
        return name, path


def refusal(dataset: str, outside: list[str], undone: str) -> InvalidDatasetError:
    """Return the error for links that lead out of a dataset.

    Parameters
    ----------
    dataset, undone : str
        ``"nothing was exported"``.
    outside : list of str
        The links, below the dataset's folder.
    """
    named = ", ".join(outside[:_NAMED])
    more = f" and {len(outside) - _NAMED} more" if len(outside) > _NAMED else ""
    return InvalidDatasetError(
        f"{dataset}: expected files inside the dataset, found links that lead out of it: "
        f"{named}{more}; {undone}. {REMEDY}"
    )


def require_inside(dataset: str, root: str, files: Iterable[tuple[str, str]], undone: str) -> None:
    """Make sure that files whose contents go on from here lie in the dataset.

    Parameters
    ----------
    dataset : str
        For the message.
    root : str
    files : iterable of (str, str)
        Folder below the root, ``images/train``, and name of each.
    undone : str
        As for `refusal`.

    Raises
    ------
    InvalidDatasetError
        If links lead out of it, and are not to be followed.
    """
    if are_followed():
        return
    real = os.path.realpath(root)
    outside: list[str] = []
    known: dict[str, Split] = {}
    for folder, filename in files:
        if folder not in known:
            known[folder] = Split.look(real, folder, outside)
        known[folder].entry(filename, outside)
    if outside:
        raise refusal(dataset, outside, undone)
