"""Which picture an annotation file means: by paths and names, whatever the folders are called.

Two ways occur. A list (COCO, CVAT, CSV) calls pictures by names that lead from wherever its
tool had them: from the folder beside the file (``000001.jpg`` for ``train2017/000001.jpg``),
from the top (``images/a.jpg``), or from a disk that is not here (``/home/ann/cups/a.jpg``).
Where each picture has a file of its own (VOC, YOLO, LabelMe), the two share a stem, and of
several pictures of that stem the one is meant whose folders are most like the file's.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from urllib.parse import unquote

from workbench.persistence.archive.directory import fold
from workbench.persistence.archive.split_words import split_word

_SPLIT_WORD = re.compile(
    r"(?<![a-z])(?:(train|training|trainval)|(val|valid|validation|minival|dev|eval)|(test|testing))"
    r"(?:\d{4})?(?:_?data)?(?![a-z0-9])"
)
_SPLITS = ("train", "val", "test")

_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


_MANY = 16
_MOST_DIGITS = 18
_HASH = re.compile(r"[0-9a-f]{8}-(?=.)")
_PLAIN = re.compile(r"(?!\.)[\w.-]+")  # a name and no path
_SIGNS = re.compile(r"[^\w]|_")
_PHOTOGRAPHS = frozenset(
    {"images", "image", "imgs", "img", "jpegimages", "image_2", "pictures", "photos", "rgb"}
)
_MASKS = re.compile(r"mask|segment|depth|(?<![a-z])(?:gt|seg|overlays?|annotated)(?![a-z])")
_KINDS = frozenset({"jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"})


@lru_cache(maxsize=4096)
def split_of(where: str) -> str | None:
    """Return the split that an annotation file's own name tells, else its folders."""
    folder, _, base = where.rpartition("/")
    match = _SPLIT_WORD.search(base.rpartition(".")[0].lower())
    return _split_in(match) or split_of_folder(folder)


@lru_cache(maxsize=4096)
def split_of_folder(folder: str) -> str | None:
    """Return the split that the nearest folder tells that tells one."""
    parts = reversed(folder.split("/"))
    return next((split for p in parts if (split := split_word(p))), None)


def _split_in(match: re.Match[str] | None) -> str | None:
    return _SPLITS[match.lastindex - 1] if match and match.lastindex else None


def stem_of(name: str) -> str:
    """Return the last part of a path without its extension."""
    base = name[name.rfind("/") + 1 :]
    dot = base.rfind(".")
    return base[:dot] if dot > 0 else base


def _folder_of(name: str) -> str:
    return name[: max(name.rfind("/"), 0)]


def folded_stems(names: Iterable[str]) -> list[str]:
    """Return ``fold(stem_of(name))`` for each name: of 100,000 in half of the time."""
    bases = [name[name.rfind("/") + 1 :] for name in names]
    stems = [base[:dot] if (dot := base.rfind(".")) > 0 else base for base in bases]
    together = "\0".join(stems)
    if together.isascii():
        folded = together.lower().split("\0")
        if len(folded) == len(stems):
            return folded
    return [*map(fold, stems)]


def _unprefixed(stem: str) -> str:
    plain = fold(_HASH.sub("", unquote(stem)))
    head, dot, kind = plain.rpartition(".")
    return head if dot and kind in _KINDS else plain


def _without_signs(stem: str) -> str:
    return _SIGNS.sub("_", _unprefixed(stem))


def _to_first_dot(stem: str) -> str:
    return _unprefixed(stem).partition(".")[0]


class Pictures:
    """Finds pictures by the names that annotation files have for them.

    Parameters
    ----------
    names : iterable of str
        Of all pictures: paths with forward slashes from the top of what is imported.
    any_split : bool
        Whether a file in ``val`` may be about pictures in ``train``.
    """

    def __init__(self, names: Iterable[str], *, any_split: bool = False) -> None:
        self.names = list(names)
        self._any_split = any_split
        self._by_end: dict[int, dict[str, list[str]]] = {}
        self._by_word: dict[int, dict[str, list[int]]] = {}

    @cached_property
    def _above(self) -> set[str]:
        """All folders above pictures, with a slash behind, and the top."""
        found = {""}
        for folder in {name[: name.rfind("/") + 1] for name in self.names}:
            above = fold(folder)
            while above and above not in found:
                found.add(above)
                above = above[: above[:-1].rfind("/") + 1]
        return found

    @cached_property
    def _by_path(self) -> dict[str, str]:
        return {fold(name): name for name in self.names}

    @cached_property
    def _twins(self) -> dict[str, list[str]]:
        """Pictures whose paths differ in the case of letters only, or in how these are composed."""
        if len(self._by_path) == len(self.names):
            return {}
        alike: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            alike[fold(name)].append(name)
        return {path: names for path, names in alike.items() if len(names) > 1}

    def find(
        self, where: str, file_names: Iterable[str], split: str | None = None
    ) -> dict[str, str]:
        """Return the picture for each name in a list that leads to one.

        What lies where it should is taken as it is. A name that leads there only without
        its folders, without its extension, or to somewhere else, counts if no other name
        leads to the same picture.

        Parameters
        ----------
        where : str
            The annotation file.
        file_names : iterable of str
        split : str, optional
            Of these pictures; default: what the file's own name or folder tells.
        """
        split = split or split_of(where)
        places = [place for p in _places(where, split) if (place := fold(p)) in self._above]
        found: dict[str, str] = {}
        guessed: dict[str, list[str]] = defaultdict(list)
        for file_name in dict.fromkeys(file_names):
            ends = [*_ends(file_name)]
            picture = self._exactly(where, file_name, split) if self._twins else None
            if picture is None and ends:
                picture = self._at(places, ends[0])
            if picture is not None:
                found[file_name] = picture
            elif ends and (guess := self._guess(places, ends, split)) is not None:
                guessed[guess].append(file_name)
        taken = set(found.values())
        for picture, names in guessed.items():
            if picture not in taken and len(names) == 1:
                found[names[0]] = picture
        return found

    def alone(self, files: Sequence[str]) -> list[str]:
        """Return the picture of each file that no other has the name of, as nearly all are.

        Empty for the others, which `like` is to be asked about.
        """
        found: list[str] = []
        known: dict[tuple[str, str], bool] = {}
        for file, stem in zip(files, folded_stems(files), strict=True):
            named = self._called(stem)
            if len(named) != 1:
                found.append("")
                continue
            pair = _folder_of(named[0]), _folder_of(file)
            if pair not in known:
                known[pair] = self._may_belong(*pair)
            found.append(named[0] if known[pair] else "")
        return found

    def like(self, file: str, hint: str = "") -> list[str]:
        """Return the picture that a file of its own belongs to.

        Parameters
        ----------
        file : str
            ``labels/train/a.txt``; also ``a.jpg.json``.
        hint : str
            What the file says of the picture's name; tells pictures apart that differ in
            their extension only.

        Returns
        -------
        list of str
            None, one, or those that nothing tells apart.
        """
        found = self._called(fold(stem_of(file)))
        best = _truest(self._nearest(found, file), file)
        if len(best) > 1:
            base = fold(hint.replace("\\", "/").rpartition("/")[2])
            said = [name for name in best if fold(name).rpartition("/")[2] == base]
            return said or _photographs(best)
        if not best and hint:
            path = hint.replace("\\", "/")
            return _truest(self._nearest(self._called(fold(stem_of(path))), file), path)
        return best

    def nearly(self, files: Iterable[str], taken: Collection[str]) -> dict[str, str]:
        """Return the picture for each file whose name differs from it as tools make them differ.

        Label Studio puts eight hexadecimal digits in front, web addresses write letters as
        ``%C3%A9``, some tools keep a picture's extension, cut the name at its first dot, or
        write ``_`` for whatever is no letter and no digit. A pair counts if it is the only one on
        both sides.

        Parameters
        ----------
        files : iterable of str
            Those that `like` finds nothing for.
        taken : collection of str
            Pictures that have a file.
        """
        found: dict[str, str] = {}
        files = list(files)
        for plain in (_unprefixed, _without_signs, _to_first_dot):
            left: dict[str, list[str]] = defaultdict(list)
            for name in self.names:
                if name not in taken and name not in found.values():
                    left[plain(stem_of(name))].append(name)
            asking: dict[str, list[str]] = defaultdict(list)
            for file in files:
                if file not in found:
                    asking[plain(stem_of(file))].append(file)
            for key, some in asking.items():
                if len(some) == 1 and len(left.get(key, ())) == 1 and key:
                    found[some[0]] = left[key][0]
        return found

    def _nearest(self, pictures: list[str], file: str) -> list[str]:
        folder = file[: max(file.rfind("/"), 0)]
        if len(pictures) < 2:
            return [n for n in pictures if self._may_belong(n[: max(n.rfind("/"), 0)], folder)]
        scored: dict[tuple[int, int], list[str]] = defaultdict(list)
        for name in self._that_may_be_nearest(pictures, folder):
            above = name.rpartition("/")[0]
            if self._may_belong(above, folder):
                scored[_likeness(above, folder)].append(name)
        return scored[max(scored)] if scored else []

    def _that_may_be_nearest(self, pictures: list[str], folder: str) -> list[str]:
        """Return those among many pictures of one name whose folders may share most with one.

        Words that few of their folders have are looked at first; once somebody shares more of
        them than the words that are left, the others are behind.
        """
        if len(pictures) < _MANY:
            return pictures
        if id(pictures) not in self._by_word:  # each list stays, in the index of stems
            self._by_word[id(pictures)] = _by_word(pictures)
        having = self._by_word[id(pictures)]
        words = Counter(_words(folder))
        left, most, found = words.total(), 0, set[int]()
        for word in sorted(words, key=lambda one: len(having.get(one, ()))):
            for number in having.get(word, ()):
                above = pictures[number].rpartition("/")[0]
                if number not in found and self._may_belong(above, folder):
                    most = max(most, _likeness(above, folder)[0])
                found.add(number)
            left -= words[word]
            if most > left:
                return [pictures[number] for number in sorted(found)]
        return pictures

    def _called(self, word: str) -> list[str]:
        """Return the pictures of which this is the folded name, with or without its extension."""
        return (self._by_name if "." in word else self._by_stem).get(word, [])

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for stem, name in zip(folded_stems(self.names), self.names, strict=True):
            index.setdefault(stem, []).append(name)
        return index

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for stem, name in zip(folded_stems(self.names), self.names, strict=True):
            for word in dict.fromkeys((stem, fold(name[name.rfind("/") + 1 :]))):
                index.setdefault(word, []).append(name)
        return index

    def _at(self, places: list[str], end: str) -> str | None:
        for place in places:
            picture = self._by_path.get(place + end)
            if picture is not None and place + end not in self._twins:
                return picture
        return None

    def _exactly(self, where: str, file_name: str, split: str | None) -> str | None:
        """Return the picture of exactly this path; of twins it is the one that is meant."""
        path = file_name.replace("\\", "/").removeprefix("./")
        return next((n for p in _places(where, split) if (n := p + path) in self._all), None)

    @cached_property
    def _all(self) -> frozenset[str]:
        return frozenset(self.names)

    def _guess(self, places: list[str], ends: list[str], split: str | None) -> str | None:
        elsewhere = self._same_split(self._ending(ends[0]), split)
        if len(elsewhere) == 1:
            return elsewhere[0]
        if elsewhere:
            return None
        found = next((p for end in ends[1:] if (p := self._at(places, end)) is not None), None)
        if found is not None:
            return found
        # Some lists have ids without an extension, or the extension of before a conversion.
        same = self._same_split(self._called(stem_of(ends[-1])), split)
        same = same or self._same_split(self._called(ends[-1]), split)
        if not same and (number := _number_of(ends[-1])) is not None:
            # Tables lose the zeros in front of what looks like a number.
            same = self._same_split(self._by_number.get(number, []), split)
        return same[0] if len(same) == 1 else None

    def _may_belong(self, one: str, other: str) -> bool:
        return self._any_split or _may_belong(one, other)

    def _same_split(self, names: list[str], split: str | None) -> list[str]:
        if split is None or self._any_split:
            return names
        return [n for n in names if split_of_folder(n.rpartition("/")[0]) in (None, split)]

    @cached_property
    def _by_number(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for name in self.names:
            if (number := _number_of(name.rpartition("/")[2])) is not None:
                found[number].append(name)
        return found

    def _ending(self, end: str) -> list[str]:
        """Return the pictures whose path ends so, however deep they lie."""
        depth = end.count("/") + 1
        if depth not in self._by_end:
            index: dict[str, list[str]] = defaultdict(list)
            for path, name in self._by_path.items():
                alike = self._twins.get(path, [name])
                index["/".join(path.rsplit("/", depth)[-depth:])].extend(alike)
            self._by_end[depth] = index
        return self._by_end[depth].get(end, [])


def _number_of(base: str) -> int | None:
    """Return the number that a name is, with or without an extension."""
    stem = stem_of(base)
    return int(stem) if stem.isdecimal() and len(stem) <= _MOST_DIGITS else None


def _truest(pictures: list[str], file: str) -> list[str]:
    """Return those of several pictures that are called most as a file is.

    Of ``IMG_1.jpg`` and ``img_1.jpg``, and of ``a.jpg`` and ``a.jpg.jpg``, each has its own file.
    Pictures that differ in their extension only remain together.
    """
    if len(pictures) < 2:
        return pictures
    stem, folders = stem_of(file), {*file.split("/")[:-1]}
    marks: dict[tuple[bool, bool, int], list[str]] = defaultdict(list)
    for name in pictures:
        own = stem_of(name)
        shared = len(folders.intersection(name.split("/")[:-1]))
        marks[own == stem, fold(own) == fold(stem), shared].append(name)
    return marks[max(marks)]


def _photographs(pictures: list[str]) -> list[str]:
    """Return those of several pictures whose folders are called as those of photographs are.

    Masks and maps of depth lie beside ``images`` under the names of its pictures, as deep and as
    far away from the labels. Of ``visible`` and ``infrared`` both remain.
    """
    worth: dict[int, list[str]] = defaultdict(list)
    for name in pictures:
        worth[_worth(name.rpartition("/")[0])].append(name)
    return worth[max(worth)]


@lru_cache(maxsize=4096)
def _worth(folder: str) -> int:
    parts = fold(folder).split("/")
    return (not _PHOTOGRAPHS.isdisjoint(parts)) - any(map(_MASKS.search, parts))


_OWN_FOLDERS = frozenset(
    {"labels", "label", "annotations", "annotation", "annots", "xmls", "labeltxt", "ann", "label_2"}
)


@lru_cache(maxsize=4096)
def is_own_folder(files: str, pictures: str) -> bool:
    """Whether annotation files in a folder are surely those of pictures in another.

    They lie beside each other, or in ``labels/train`` and ``images/train``; not so in
    ``labels_seg/train`` or ``runs/exp/labels``.
    """
    if files == pictures:
        return True
    one, other = fold(files).split("/"), fold(pictures).split("/")
    differing = [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]]
    return len(one) == len(other) and len(differing) == 1 and differing[0][0] in _OWN_FOLDERS


@lru_cache(maxsize=4096)
def _may_belong(one: str, other: str) -> bool:
    """Whether two folders are not of different splits."""
    splits = split_of_folder(one), split_of_folder(other)
    return None in splits or splits[0] == splits[1]


@lru_cache(maxsize=4096)
def _likeness(one: str, other: str) -> tuple[int, int]:
    """Return how many folders two paths share, in their order, and how few they do not."""
    first, second = _words(one), _words(other)
    shared, start = 0, 0
    for word in first:
        if word in second[start:]:
            start = second.index(word, start) + 1
            shared += 1
    return shared, 2 * shared - len(first) - len(second)


def _by_word(pictures: Sequence[str]) -> dict[str, list[int]]:
    """Return which pictures have which words in their folders."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(pictures):
        for word in set(_words(name.rpartition("/")[0])):
            found[word].append(number)
    return found


def _words(folder: str) -> list[str]:
    return [split_word(part) or fold(part) for part in folder.split("/") if part]


def _ends(file_name: str) -> Iterator[str]:
    """Yield a path as it stands, then without its first folder, and so on."""
    if file_name.isascii() and _PLAIN.fullmatch(file_name):
        yield file_name.lower()
        return
    plain, _, query = file_name.replace("\\", "/").partition("?")
    # Label Studio serves the files of its machine as /data/local-files/?d=folder/a.jpg.
    plain = next((part[2:] for part in query.split("&") if part[:2] == "d="), plain)
    for text in (plain, unquote(plain)) if "%" in plain else (plain,):
        parts = [part for part in fold(text).split("/") if part not in ("", ".", "..")]
        for begin in range(len(parts)):
            yield "/".join(parts[begin:])


def _places(where: str, split: str | None) -> Iterator[str]:
    """Yield the folders where an annotation file's pictures may be, the likeliest first."""
    folder, _, base = where.rpartition("/")
    # instances_train2017.json is about train2017.
    names = [base.rpartition(".")[0].partition("_")[2], *_FOLDERS.get(split or "", ())]
    own = [name for name in names if name]
    above = [folder, folder.rpartition("/")[0]] if folder else [""]
    for home in (f"{place}/" if place else "" for place in above):
        for name in own:
            yield f"{home}images/{name}/"
            yield f"{home}{name}/images/"
            yield f"{home}{name}/"
        yield f"{home}images/"
        yield f"{home}data/"
        yield home
