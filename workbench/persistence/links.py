"""Links that lead out of a dataset: one rule, and the one place that knows it.

What lies behind such a link is *read*: it is shown, and trained on, on the user's own machine.
Nothing else: it is not changed, moved or deleted, and it does not go where it may be passed on,
into an archive, an export, a copy, a version or what an import makes of a folder. A stranger may
have put the link there, to a picture or a key of the user's own.

A user who has put the links there says so, once for a dataset, with `trust_links`; it is kept on
the machine, see `link_consent`. With ``WORKBENCH_FOLLOW_LINKS=1`` in the environment all links are
followed. Links within a dataset are followed always.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Collection, Iterable
from typing import NamedTuple, Self

from workbench.errors import InvalidDatasetError, NotFoundError, plain_words
from workbench.persistence.basic_models import SPLITS
from workbench.persistence.link_consent import distrust, trust, trusted_folders
from workbench.persistence.plain_files import is_junction
from workbench.persistence.yolo.names import HIDDEN

VARIABLE = "WORKBENCH_FOLLOW_LINKS"

_NAMED = 3


def remedy_of_folder(root: str) -> str:
    """Return what to do about links that lead out of a folder, be it a dataset or none yet."""
    return (
        "Put the files themselves there, or, if the links are your own, say so once for this "
        f"folder: `workbench trust-links {shlex.quote(os.path.abspath(root))}`"
    )


def remedy(root: str) -> str:
    """Return what to do about links that lead out of a dataset."""
    return (
        f"{remedy_of_folder(root)}, or "
        f'`await wb.datasets.trust_links("{os.path.basename(os.path.abspath(root))}")`, or '
        "*They are mine* on its card of the home page"
    )


def leads_astray(root: str, path: str) -> bool:
    """Whether links lead from a path below a folder to where nobody said that they may.

    Parameters
    ----------
    root : str
        May be a link itself: whoever put it there meant it.
    path : str
    """
    if not _has_links(root, path):
        return False
    return _is_astray(os.path.realpath(root), os.path.realpath(path))


def _has_links(root: str, path: str) -> bool:
    """Whether a path below a folder goes through links, or it may: most go through none."""
    if not path.startswith(f"{root}/"):
        return True
    way = root
    for part in path[len(root) + 1 :].split("/"):
        way = f"{way}/{part}"
        if part in ("", ".", "..") or "\\" in part:
            return True
        try:
            status = os.lstat(way)
        except (OSError, ValueError):  # nothing there, so nothing below it either
            return False
        if stat.S_ISLNK(status.st_mode) or is_junction(status):
            return True
    return False


def _is_astray(real_root: str, real_path: str) -> bool:
    if _is_in(real_root, real_path) or os.environ.get(VARIABLE, "") == "1":
        return False
    return not any(_is_in(folder, real_path) for folder in trusted_folders(real_root))


def require_distinct_splits(root: str) -> None:
    """Make sure that no two splits of a dataset are one folder, which links can make of them.

    Their images would count twice, and what is done to one would be done to the other.

    Raises
    ------
    InvalidDatasetError
        If two are.
    """
    for kind in ("images", "labels"):
        folders = [f"{root}/{kind}/{split}" for split in SPLITS]
        linked = [folder for folder in folders if _is_link(folder)]
        for link in linked:
            real = os.path.realpath(link)
            for other in folders:
                if other != link and os.path.realpath(other) == real:
                    raise InvalidDatasetError(
                        f"{link}: expected a folder of its own for each split, found a link to "
                        f"what {other} is; so each file would be there twice, and a change of one "
                        f"would change both. Delete the link, or put copies in its place"
                    )


def _is_link(path: str) -> bool:
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISLNK(status.st_mode) or is_junction(status)


def trust_links(root: str, *, only: Collection[str] | None = None) -> list[str]:
    """Say that the links of a dataset that lead out of it are one's own.

    Parameters
    ----------
    root : str
        The dataset's folder.
    only : collection of str, optional
        The folders that somebody was shown before saying so; nothing is said of others.

    Returns
    -------
    list of str
        The folders that they lead to, sorted. To others that come later, nobody has said yes.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    InvalidDatasetError
        If it cannot be looked through.
    SetupError
        If it cannot be written down.
    """
    found = _outside(root)
    folders = sorted(found if only is None else found.intersection(only))
    if folders:
        trust(os.path.realpath(root), folders)
    return folders


def distrust_links(root: str, *, but: Iterable[str] = ()) -> None:
    """Take back what `trust_links` said of a dataset.

    Parameters
    ----------
    root : str
    but : iterable of str
        Folders to which its links may lead still.

    Raises
    ------
    SetupError
        If it cannot be written down.
    """
    distrust(os.path.realpath(root), but=but)


def trusted_links(root: str) -> list[str]:
    """Return the folders to which somebody has said that the links of a dataset may lead."""
    return sorted(trusted_folders(os.path.realpath(root)))


def untrusted_links(root: str) -> list[str]:
    """Return the folders that links of a dataset lead to, and of which nobody has said so.

    Parameters
    ----------
    root : str
        The dataset's folder; of one that is not there, nothing leads anywhere.

    Raises
    ------
    InvalidDatasetError
        If it cannot be looked through.
    """
    if not os.path.isdir(root):
        return []
    real = os.path.realpath(root)
    return sorted(folder for folder in _outside(root) if _is_astray(real, folder))


def _outside(root: str) -> set[str]:
    real = os.path.realpath(root)
    if not os.path.isdir(real):
        raise NotFoundError(f"{root}: expected the folder of a dataset, found none")
    try:
        return _folders_outside(real)
    except OSError as error:
        raise InvalidDatasetError(
            f"{root}: its links cannot be looked at ({plain_words(error)}); "
            "let this folder be yours to read"
        ) from error


def _folders_outside(real_root: str) -> set[str]:
    """Return the folders that links below a folder lead to; of files, those in which they lie."""
    found: set[str] = set()
    seen: set[str] = set()
    left = [real_root]
    while left:
        folder = left.pop()
        if folder in seen:
            continue
        seen.add(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == HIDDEN:
                    continue
                if not entry.is_symlink():
                    if entry.is_dir():
                        left.append(entry.path)
                    continue
                target = os.path.realpath(entry.path)
                if not _is_in(real_root, target) and os.path.exists(target):
                    found.add(target if os.path.isdir(target) else os.path.dirname(target))
    return found


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
    for folder in {os.path.dirname(path) for path in paths}:
        if folder != root and leads_astray(root, folder):
            raise InvalidDatasetError(
                f"{folder}: expected a folder inside {root}, found a link that leads out of it; "
                f"what lies there is shown and trained on, and never changed. {remedy(root)}"
            )


def require_own_content(dataset: str, root: str, path: str) -> None:
    """Make sure that one file whose contents leave this machine lies in the dataset.

    Raises
    ------
    InvalidDatasetError
        If links lead out of it, and are not to be followed.
    """
    if leads_astray(root, path):
        raise refusal(dataset, root, [os.path.relpath(path, root)], "it was not sent")


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
        """Look at a folder; note it in `outside` if it is not in the dataset, nor may be read."""
        path = os.path.realpath(f"{root}/{name}")
        if _is_astray(root, path):
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
        if _is_astray(self.root, path):
            outside.append(name)
        return name, path


def refusal(dataset: str, root: str, outside: list[str], undone: str) -> InvalidDatasetError:
    """Return the error for links that lead out of a dataset.

    Parameters
    ----------
    dataset, undone : str
        ``"nothing was exported"``.
    root : str
        The dataset's folder.
    outside : list of str
        The links, below the dataset's folder.
    """
    there: list[str] = []
    gone: list[str] = []
    for name in outside:
        (there if os.path.exists(f"{root}/{name}") else gone).append(name)
    found, todo = [], []
    if there:
        found.append(f"links that lead out of it: {_some(there)}")
        todo.append(remedy(root))
    if gone:  # to say that these are one's own would help nobody
        found.append(f"links to files that are not there: {_some(gone)}")
        todo.append("Delete the links that lead nowhere, or put their files back")
    return InvalidDatasetError(
        f"{dataset}: expected files inside the dataset, found {', and '.join(found)}; {undone}. "
        f"{'. '.join(todo)}"
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


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
    real = os.path.realpath(root)
    outside: list[str] = []
    known: dict[str, Split] = {}
    for folder, filename in files:
        if folder not in known:
            known[folder] = Split.look(real, folder, outside)
        known[folder].entry(filename, outside)
    if outside:
        raise refusal(dataset, root, outside, undone)
