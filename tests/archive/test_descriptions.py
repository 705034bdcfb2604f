"""Class names in data.yaml and in plain lists."""

from __future__ import annotations

import pytest

from workbench.errors import ArchiveError
from workbench.persistence.archive import parse_class_list, parse_data_yaml

READ: dict[str, tuple[bytes, list[str]]] = {
    "list": (b"names: [cat, dog]", ["cat", "dog"]),
    "mapping": (b"names:\n  1: dog\n  0: cat\n", ["cat", "dog"]),
    "quoted keys": (b"names: {'0': cat, '1': dog}", ["cat", "dog"]),
    "what YAML takes for other types": (
        b"names: [on, 1, 1.5, 2024-01-31, null]",
        ["on", "1", "1.5", "2024-01-31", "null"],
    ),
    "byte order mark": (b"\xef\xbb\xbfnames: [cat]", ["cat"]),
    "Unicode": ("names: [größe, 猫]".encode(), ["größe", "猫"]),
    "line ends of Windows": (b"names:\r\n- cat\r\n- dog\r\n", ["cat", "dog"]),
    "nothing": (b"", []),
    "no names": (b"train: images/train\n", []),
    "names without a value": (b"names:\n", []),
    "no classes": (b"names: []\nnc: 0\n", []),
    "alias of a text": (b"train: &x images\nval: *x\nnames: [cat]\n", ["cat"]),
}


@pytest.mark.parametrize("case", READ)
def test_names(case: str) -> None:
    text, names = READ[case]
    assert parse_data_yaml(text, "data.yaml")[0] == names


def test_other_keys_are_kept_and_ours_are_not() -> None:
    text = b"""
path: /home/ann/data
train: images/train
val: [a, b]
test:
nc: 1
names: [person]
kpt_shape: [17, 3]
flip_idx: [0, 2, 1]
license: CC BY 4.0
date: 2024-01-31
roboflow: {workspace: ann, version: 3, private: false, none: null}
"""
    classes, extra, notes = parse_data_yaml(text, "data.yaml")
    assert classes == ["person"]
    assert extra == {
        "kpt_shape": [17, 3],
        "flip_idx": [0, 2, 1],
        "license": "CC BY 4.0",
        "date": "2024-01-31",
        "roboflow": {"workspace": "ann", "version": 3, "private": False, "none": None},
    }
    assert notes == []


def test_what_is_dropped_is_told() -> None:
    text = (
        b"names: [cat]\nnc: 5\ndownload: rm -rf /\nodd: !!set {a, b}\nraw: !!binary aGk=\nf: .nan"
    )
    classes, extra, notes = parse_data_yaml(text, "top/data.yaml")
    assert (classes, extra) == (["cat"], {})
    assert len(notes) == 5
    assert all("top/data.yaml" in note for note in notes)
    told = "\n".join(notes)
    for part in ("nc: 5 but has 1 names", "'download'", "'odd'", "'raw'", "'f'"):
        assert part in told


def _laughs() -> bytes:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return "\n".join([*rows, "names: [cat]"]).encode()


REFUSED: dict[str, tuple[bytes, str]] = {
    "billion laughs": (_laughs(), r"aliases.*\*a0"),
    "alias of itself": (b"a: &a [*a]\nnames: [cat]", r"aliases"),
    "deep nesting": (b"a: " + b"[" * 5000, r"20 levels|nesting"),
    "no YAML": (b"names: [cat", r"expected YAML.*, found in line [12]: "),
    "tabs": (b"names:\n\t- cat\n", r"expected YAML.*spaces for the tabs"),
    "two documents": (b"names: [cat]\n---\nnames: [dog]", r"expected YAML"),
    "code": (b"names: [cat]\nx: !!python/object/apply:os.system ['true']", r"expected YAML"),
    "impossible date": (b"names: [cat]\nx: 2024-99-99", r"expected YAML"),
    "UTF-16": ("names: [cat]".encode("utf-16"), r"UTF-8.*save"),
    "Latin-1": ("names: [größe]".encode("latin-1"), r"UTF-8.*save"),
    "control character": (b"names: [c\x07at]", r"expected YAML"),
    "escaped control character": (b'names: ["c\\nat"]', r"control character"),
    "no mapping": (b"- cat\n- dog", r"keys and values, found a list"),
    "key twice": (b"names: [cat]\nnames: [dog]", r"'names' again in line 2"),
    "id twice": (b"names: {0: cat, 0: dog}", r"'0' again"),
    "id twice in another form": (b"names: {0: cat, 00: dog}", r"number the names from 0"),
    "negative id": (b"names: {-1: cat}", r"'-1'.*number"),
    "ids that are text": (b"names: {cat: 0}", r"'cat'.*number"),
    "nested names": (b"names: [[cat]]", r"plain text"),
    "names are one text": (b"names: cat", r"a list or mapping of names"),
    "too many": (b"names: [" + b",".join(b"c%d" % i for i in range(10_001)) + b"]", r"10000"),
    "too long": (b"#" * (2**20 + 1), r"1048576 bytes"),
    "odd key": (b"? [a, b]\n: c\n", r"keys that are plain text"),
    "id of a bomb": (b"names: {0: cat, 99999999: dog}", r"class ids below 10000.*99999999"),
    "nc of a bomb": (b"nc: 100000000", r"nc up to"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    text, message = REFUSED[case]
    with pytest.raises(ArchiveError, match=r"(?s)^top/data\.yaml: .*" + message):
        parse_data_yaml(text, "top/data.yaml")


def test_class_lists() -> None:
    text = "\ufeffcat\r\n  größe \r\n\r\n".encode()
    assert parse_class_list(text, "classes.txt") == (["cat", "größe"], [])
    assert parse_class_list(b"", "classes.txt") == ([], [])
    # A line is an id, so one without a name keeps its place.
    classes, [note] = parse_class_list(b"cat\n\ncat", "classes.txt")
    assert classes == ["cat", "class_1", "cat_2"]
    assert note.startswith("classes.txt: ")
    assert "'class_1'" in note
    assert "'cat_2'" in note
    with pytest.raises(ArchiveError, match=r"^classes\.txt: "):
        parse_class_list(b"\xff\xfec\x00", "classes.txt")


GIVEN_NAMES: dict[str, tuple[bytes, list[str], str]] = {
    "gap": (b"names: {0: cat, 2: dog}", ["cat", "class_1", "dog"], "class 1 has no name"),
    "from one": (b"names: {1: cat, 2: dog}", ["class_0", "cat", "dog"], "class 0 has no name"),
    "twice": (b"names: [cat, dog, cat]", ["cat", "dog", "cat_2"], "class 2 is 'cat' again"),
    "taken": (b"names: [cat, cat_2, cat]", ["cat", "cat_2", "cat_3"], "now 'cat_3'"),
    "empty": (b"names: [cat, '']", ["cat", "class_1"], "class 1 has no name, now 'class_1'"),
    "empty, and its name taken": (b"names: [class_1, '']", ["class_1", "class_1_2"], "class_1_2"),
}


@pytest.mark.parametrize("case", GIVEN_NAMES)
def test_every_id_keeps_its_meaning_and_gets_a_name_of_its_own(case: str) -> None:
    text, expected, told = GIVEN_NAMES[case]
    classes, _, [note] = parse_data_yaml(text, "top/data.yaml")
    assert classes == expected
    assert note.startswith("top/data.yaml: ")
    assert told in note
