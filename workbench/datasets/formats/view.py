"""What there is to import, whatever it is packed in: one list of files that can be read.

A folder, a zip archive, a tar archive (also ``.gz``, ``.bz2``, ``.xz``, ``.zst``), or one
annotation file, which stands for the folder that it lies in. Where a folder or an archive holds no
pictures but archives, these are opened too, one level deep; so are archives of annotations beside
pictures that have none. Archives are held to the same
bounds as everywhere (`ArchiveLimits`); what is a tar or lies in another archive is unpacked
into a temporary folder, which `FolderView.close` removes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from workbench.datasets.formats import tar
from workbench.datasets.formats.encodings import (
    TEXTS,
    USUAL,
    first_word,
    in_utf8,
    is_other_text,
)
from workbench.datasets.formats.file_names import (
    CONVERTIBLE,
    POINTABLE,
    VIDEOS,
    by_extension,
    extension,
)
from workbench.datasets.formats.json_text import parse_json
from workbench.datasets.formats.nested import look_inside
from workbench.datasets.formats.pointing import require_archive
from workbench.datasets.formats.reasons import DANGLING, LEADS_OUT
from workbench.datasets.image_facts import TAIL_BYTES
from workbench.errors import ImportFormatError, NotFoundError, WorkbenchError
from workbench.persistence import IMAGE_EXTENSIONS
from workbench.persistence.archive import Archive, Member
from workbench.persistence.archive.folder import Folder, member_of
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.models import ArchiveLimits
from workbench.persistence.scratch import scratch_prefix
from workbench.persistence.similar import what_is_near
from workbench.persistence.storage.collector import paused_collector

HEAD_BYTES = 4096
TEXT_BYTES = 2**30
"""An annotation file larger than this is refused: it would fill the memory several times."""

_CACHE_BYTES = 64 * 2**20
_SAMPLE = 24
_PICTURE_ENDS = tuple(sorted(IMAGE_EXTENSIONS))

T = TypeVar("T")

UNPACKED = "unpacked in the folder for temporary files"
"""What an error says of where there is no room, say; the variable ``TMPDIR`` names the folder."""


class FolderView:
    """Files by name, with their sizes; a context manager.

    Parameters
    ----------
    path : Path
        What was pointed at.
    focus : str or None
        The one annotation file that was pointed at, if it was one.
    names : list of str
        Of all files, with forward slashes, without litter.
    pictures : list of str
        Those that are pictures and not hidden.
    links : dict of str to str
        Links that were left out, and the reason of each.
    used : frozenset of str
        Files that stand for others that were made of them, see `with_made`.
    encoding : str
        In which text is read that is not in UTF-8, see `read_as`.
    not_in_utf8 : dict of str to bytes
        Files that were, each with its first word that tells.
    origin : str
        What people call what was pointed at: its path, unless it came some other way.
    """

    def __init__(self, path: Path, focus: str | None = None) -> None:
        self.path = path
        self.origin = str(path)
        self.focus = focus
        self.names: list[str] = []
        self.pictures: list[str] = []
        # Whether pictures lie in splits that are none of the annotations'.
        self.any_split = False
        self.notes: list[str] = []
        self.links: dict[str, str] = {}
        self.used: frozenset[str] = frozenset()
        self.made: dict[object, Any] = {}
        self.encoding = USUAL
        self.not_in_utf8: dict[str, bytes] = {}
        self._members: dict[str, tuple[Folder | Archive, Member]] = {}
        self._open: list[Archive] = []
        self._temporary: list[str] = []
        self._parsed: OrderedDict[str, tuple[int, Any]] = OrderedDict()
        self._parsed_bytes = 0
        self._no_json: dict[str, str] = {}
        self._by_extension: dict[str, list[str]] = {}
        self._folders: dict[Path, Folder] = {}
        self._listed: Folder | None = None

    @classmethod
    def open(
        cls, path: Path | str, limits: ArchiveLimits | None = None, *, may_be_bare: bool = False
    ) -> Self:
        """List what lies at a path.

        Parameters
        ----------
        path : Path or str
        limits : ArchiveLimits, optional
        may_be_bare : bool
            Whether an annotation file may have no pictures beside it, so that those above are
            not looked for.

        Raises
        ------
        NotFoundError
            If there is nothing.
        ArchiveError
            If it is an archive that is refused, or no archive and no annotation file.
        """
        path = Path(path).expanduser().absolute()
        if path.is_file() and path.suffix.lower() in POINTABLE:
            return cls._around(path, may_be_bare)
        if path.is_file() and path.suffix.lower() in VIDEOS:
            return cls._alone(path)
        view = cls(path)
        try:
            with paused_collector(), in_our_words(f"{path}, {UNPACKED}"):
                view._mount(path, "", limits or ArchiveLimits())
                look_inside(view, limits or ArchiveLimits())
        except BaseException:
            view.close()
            raise
        return view

    @classmethod
    def _around(cls, file: Path, may_be_bare: bool) -> Self:
        """View the folder of a file, or the one above it if the pictures are there."""
        views = []
        above = file.parent.parent
        # What was sent from a browser lies alone in a folder of ours, among those of everybody.
        is_of_all = above == above.parent or above.samefile(tempfile.gettempdir())
        for folder in (file.parent,) if is_of_all else (file.parent, above):
            view = cls(folder, file.relative_to(folder).as_posix())
            view._mount(folder, "", ArchiveLimits())
            if may_be_bare or view.pictures or view.others(CONVERTIBLE | VIDEOS):
                return view
            views.append(view)
        return views[0]

    @classmethod
    def _alone(cls, file: Path) -> Self:
        """View one file, whatever lies beside it."""
        view = cls(file.parent, file.name)
        view._add(Folder(file.parent, [member_of(file.name, file.stat().st_size)]), "")
        return view

    @classmethod
    def of_files(cls, places: Mapping[str, Path]) -> Self:
        """View some files under the names that are given for them."""
        view = cls(next(iter(places.values()), Path()).parent)
        for name, place in places.items():
            member = member_of(place.name, place.stat().st_size)
            view._members[name] = (view._folder(place.parent), member)
        view._add(Folder(view.path, []), "")
        return view

    def _folder(self, path: Path) -> Folder:
        if path not in self._folders:
            self._folders[path] = Folder(path, [])
        return self._folders[path]

    def with_made(
        self, folder: Path, used: Collection[str], failed: Collection[str], notes: Sequence[str]
    ) -> FolderView:
        """Return the same files, with those in a folder in place of those they were made of.

        Parameters
        ----------
        folder : Path
            What was made.
        used : collection of str
            Of what it was made.
        failed : collection of str
            Files of which nothing could be made; these are no pictures.
        notes : sequence of str
        """
        view = FolderView(self.path, self.focus)
        view.origin = self.origin
        view.notes = [*self.notes, *notes]
        view.links = self.links
        view.used = frozenset(used)
        view.encoding = self.encoding
        view._open, view._temporary = self._open, self._temporary
        view._listed = self._listed
        view._members = {n: entry for n, entry in self._members.items() if n not in view.used}
        view._add(Folder.open(folder), "")
        view.pictures = [name for name in view.pictures if name not in failed]
        return view

    def others(self, extensions: Collection[str]) -> list[str]:
        """Return the files of some extensions that are not hidden."""
        found = [some for kind in extensions if (some := self._by_extension.get(kind))]
        if len(found) < 2:
            return [*found[0]] if found else []
        wanted = {name for some in found for name in some}
        return [name for name in self.names if name in wanted]

    def place(self, name: str) -> Path:
        """Return where a file lies on the disk; one in an archive is unpacked for that."""
        source, member = self._members[name]
        if isinstance(source, Folder):
            return source.path / member.name
        path = Path(self.new_folder()) / f"file{tar.archive_extension(name) or extension(name)}"
        with path.open("wb") as file:
            file.writelines(source.chunks(member))
        return path

    def _mount(self, path: Path, prefix: str, limits: ArchiveLimits) -> None:
        if path.is_dir():
            folder = Folder.open(path)
            if path == self.path:
                self._listed = folder
            self.links |= {prefix + name: DANGLING for name in folder.dangling}
            self.links |= {prefix + name: LEADS_OUT for name in folder.outside}
            self.notes += [folder.remedy] * bool(folder.outside)
            self._add(folder, prefix)
        elif tar.is_tar(path):
            self._mount(self.unpacked(path, limits), prefix, limits)
        else:
            if not path.exists():
                raise NotFoundError(
                    f"{path}: expected a folder, an archive or an annotation file, found nothing; "
                    f"{what_is_near(path)}"
                )
            if path == self.path:
                require_archive(path)
            archive = Archive.open(path, limits)
            self._open.append(archive)
            self._add(archive, prefix)

    def unpacked(self, path: Path, limits: ArchiveLimits) -> Path:
        """Return a temporary folder with what a tar archive holds."""
        with tar.naming(path):
            return tar.unpack(path, self.new_folder(), limits)

    def _add(self, source: Folder | Archive, prefix: str) -> None:
        members = [member for member in source.members if not member.ignored]
        names = [prefix + member.name for member in members]
        self._members.update(zip(names, zip(repeat(source), members), strict=True))
        self._list(self._members)

    def _list(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self._by_extension = by_extension(self.names)
        self.pictures = self.others(IMAGE_EXTENSIONS)

    def is_packed(self, name: str) -> bool:
        """Whether a file lies in an archive."""
        return isinstance(self._members[name][0], Archive)

    def replace(self, name: str, place: Path, prefix: str, limits: ArchiveLimits) -> list[str]:
        """Take what a folder or an archive holds in the stead of a file; return their names."""
        del self._members[name]
        before = len(self._members)
        self._mount(place, prefix, limits)
        return list(self._members)[before:]

    def rename(self, names: Mapping[str, str]) -> None:
        """Call files otherwise."""
        for old, new in names.items():
            self._members[new] = self._members.pop(old)
        self._list(self._members)

    def new_folder(self) -> str:
        """Return a new temporary folder, which goes with the view."""
        self._temporary.append(tempfile.mkdtemp(prefix=scratch_prefix("import")))
        return self._temporary[-1]

    def close(self) -> None:
        """Close archives and remove what was unpacked."""
        for archive in self._open:
            archive.close()
        for folder in self._temporary:
            shutil.rmtree(folder, ignore_errors=True)
        self._open.clear()
        self._temporary.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def print(self, *, now: bool = False) -> object:
        """Return what equals another only while nobody changes what is viewed.

        Parameters
        ----------
        now : bool
            List the folder again, in place of what was there when the view was opened.
        """
        alone = self.focus is not None and extension(self.focus) in VIDEOS
        file = self.path / str(self.focus) if alone else self.path
        try:
            if file.is_file():
                status = file.stat()
                return status.st_size, status.st_mtime_ns
            return _Print(self._listed if self._listed and not now else Folder.open(self.path))
        except (OSError, WorkbenchError) as error:
            return str(error)

    # Reading

    def size(self, name: str) -> int:
        """Return a file's length in bytes."""
        return self._members[name][1].size

    def read(self, name: str) -> bytes:
        """Return a file's contents, text in UTF-8; raises `ArchiveError` if it cannot be read."""
        source, member = self._members[name]
        if isinstance(source, Folder):
            data = source.beginning(member, member.size, whole=True)
        else:
            data = source.read(member)
        return data if data.isascii() else self._in_utf8(name, data)

    def _in_utf8(self, name: str, data: bytes) -> bytes:
        """Return text of another encoding in UTF-8, and anything else as it is."""
        if extension(name) not in TEXTS or not is_other_text(data):
            return data
        self.not_in_utf8.setdefault(name, first_word(data))
        return in_utf8(data, self.encoding)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's contents in blocks; raises `ArchiveError` if it cannot be read."""
        source, member = self._members[name]
        return source.chunks(member)

    def check(self, name: str) -> None:
        """Check that the headers of an archive's member agree, also if the member is not read."""
        source, member = self._members[name]
        source.check(member)

    def head(self, name: str, length: int = HEAD_BYTES) -> bytes:
        """Return the beginning of a file."""
        source, member = self._members[name]
        if isinstance(source, Folder):
            return source.beginning(member, length)
        return source.head(member, length)

    def ends(self, name: str, length: int = HEAD_BYTES) -> tuple[bytes, bytes]:
        """Return the beginning of a file and its last bytes, which may be the same."""
        source, member = self._members[name]
        return source.ends(member, length, TAIL_BYTES)

    def text(self, name: str) -> bytes:
        """Return the whole of an annotation file.

        Raises
        ------
        ImportFormatError
            If it is larger than an annotation file can be.
        """
        if self.size(name) > TEXT_BYTES:
            raise ImportFormatError(
                f"{self.path}, {name}: expected an annotation file of at most {TEXT_BYTES} bytes, "
                f"found {self.size(name)}; split it"
            )
        return self.read(name)

    def json(self, name: str) -> Any:
        """Return a JSON file's contents; those read last are kept.

        Raises
        ------
        ImportFormatError
            If it is no JSON.
        """
        if name in self._parsed:
            self._parsed.move_to_end(name)
            return self._parsed[name][1]
        if name in self._no_json:
            raise ImportFormatError(self._no_json[name])
        data = self.text(name)
        try:
            found = parse_json(data, f"{self.path}, {name}")
        except ImportFormatError as error:
            self._no_json[name] = str(error)  # each format asks for it
            raise
        self._parsed[name] = (len(data), found)
        self._parsed_bytes += len(data)
        while len(self._parsed) > 1 and self._parsed_bytes > _CACHE_BYTES:
            self._parsed_bytes -= self._parsed.popitem(last=False)[1][0]
        return found

    def why_no_json(self, name: str) -> str:
        """Return why a file that was looked at is no JSON; empty if it is some, or was not."""
        return self._no_json.get(name, "")

    def once(self, find: Callable[[FolderView], T]) -> T:
        """Return ``find(self)``, found once; once more where texts are read otherwise since."""
        if find not in self.made:
            self.made[find] = find(self)
        return cast(T, self.made[find])

    def read_as(self, encoding: str) -> None:
        """Read text that is not in UTF-8 in this encoding from now on."""
        if encoding != self.encoding:
            self.forget()
            self.made.clear()
        self.encoding = encoding
        self.not_in_utf8.clear()

    def forget(self) -> None:
        """Free what `json` has kept."""
        self._parsed.clear()
        self._parsed_bytes = 0
        self._no_json.clear()

    # Looking for formats

    def candidates(self, *extensions: str) -> list[str]:
        """Return the files of some extensions that are not hidden; just the one pointed at."""
        if self.focus is not None and extension(self.focus) in extensions:
            return [self.focus]
        found = [self._by_extension.get(kind, []) for kind in extensions]
        return found[0] if len(found) == 1 else [name for names in found for name in names]

    def matching(self, extensions: Sequence[str], test: Callable[[str], bool]) -> list[str]:
        """Return the files that `test` accepts; of many in one folder a sample decides for all.

        Parameters
        ----------
        extensions : sequence of str
        test : callable
            Takes a name; a file that raises `ImportFormatError` is none.
        """
        groups: dict[tuple[str, str], list[str]] = {}
        for name in self.candidates(*extensions):
            groups.setdefault((name.rpartition("/")[0], extension(name)), []).append(name)
        found: list[str] = []
        for names in groups.values():
            if len(names) <= 2 * _SAMPLE:
                found += [name for name in names if _accepts(test, name)]
                continue
            step = len(names) // _SAMPLE
            sample = names[::step]
            good = [name for name in sample if _accepts(test, name)]
            found += names if len(good) > len(sample) // 2 else good
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Print:
    """What changes when a file in a folder comes, goes or is written to; looked at if compared.

    Pictures that are exchanged for others of their length are not told apart.
    """

    folder: Folder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Print) and self._facts() == other._facts()

    __hash__ = None  # type: ignore[assignment]

    def _facts(self) -> list[tuple[str, int, int]]:
        return [
            (member.name, member.size, 0 if member.name.lower().endswith(_PICTURE_ENDS) else time)
            for member, time in zip(self.folder.members, self.folder.modified, strict=True)
        ]


def _accepts(test: Callable[[str], bool], name: str) -> bool:
    try:
        return test(name)
    except (ImportFormatError, ValueError):
        return False
