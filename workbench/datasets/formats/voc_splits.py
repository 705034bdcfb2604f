"""Which image belongs to which split: the lists of a Pascal VOC folder, or shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from workbench.datasets.importing import DEFAULT_RATIOS, Notes, split_by_ratio
from workbench.errors import ImportFormatError
from workbench.persistence import IMAGE_EXTENSIONS

# An image in two lists goes to the first of these: what scores are measured on stays whole.
_PRECEDENCE = ("test", "val", "train")


def read_splits(
    folder: Path,
    stems: Iterable[str],
    ratios: Mapping[str, float] | None,
    seed: int,
    notes: Notes,
) -> dict[str, str]:
    """Return the split of each image.

    Parameters
    ----------
    folder : Path
        ``ImageSets/Main``; need not exist.
    stems : iterable of str
        Names of the images, without extension.
    ratios : mapping of str to float or None
        Shares that replace the lists.
    seed : int
        Of what is dealt out at random.
    notes : Notes
        Gets what is odd about the lists.

    Raises
    ------
    ImportFormatError
        If a list cannot be read, or `ratios` cannot be.
    """
    stems = list(stems)
    if ratios is not None:
        return split_by_ratio(stems, ratios, seed)
    lists = {split: _read_list(folder / f"{split}.txt") for split in (*_PRECEDENCE, "trainval")}
    if all(names is None for names in lists.values()):
        return split_by_ratio(stems, DEFAULT_RATIOS, seed)
    known = set(stems)
    found = {
        split: _resolve(names or [], known, f"{folder.name}/{split}.txt", notes)
        for split, names in lists.items()
    }
    assigned: dict[str, str] = {}
    for split in _PRECEDENCE:
        for stem in sorted(found[split]):
            other = assigned.setdefault(stem, split)
            if other != split:
                notes.add(
                    "images in several lists",
                    f"{stem} is listed in {other}.txt and {split}.txt; it went to {other}",
                )
    rest = found["trainval"] - assigned.keys()
    if rest and lists["train"] is None and lists["val"] is None:
        assigned |= split_by_ratio(rest, {"train": 0.8, "val": 0.2}, seed)
        notes.add(
            "lists that were split",
            f"trainval.txt lists {len(rest)} images, and there is no train.txt or val.txt: "
            f"80 % went to train, 20 % to val, picked at random with seed {seed}",
        )
    for stem in sorted(known - assigned.keys()):
        assigned[stem] = "train"
        notes.add("images that no list names", f"{stem} is in no list; it went to train")
    return assigned


def _read_list(path: Path) -> list[str] | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ImportFormatError(f"{path}: expected names in UTF-8, one a line: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _resolve(names: list[str], known: set[str], where: str, notes: Notes) -> set[str]:
    """Return the images that a list means; some tools add extensions, folders or a flag."""
    found = set()
    for name in names:
        stem = next((form for form in _forms(name) if form in known), None)
        if stem is None:
            notes.add("names without an image", f"{where}: there is no image called {name}")
        else:
            found.add(stem)
    return found


def _forms(name: str) -> Iterable[str]:
    yield name
    bare, _, flag = name.rpartition(" ")
    # The lists of single classes say "name -1", "name 0" or "name 1".
    for form in (name, bare.strip()) if flag in {"-1", "0", "1"} else (name,):
        base = form.replace("\\", "/").rpartition("/")[2]
        yield base
        stem, dot, extension = base.rpartition(".")
        if dot and f".{extension.lower()}" in IMAGE_EXTENSIONS:
            yield stem
