"""Queries: what they find, what they refuse, what they suggest."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.datasets.index import (
    BACKGROUND,
    LABELLED,
    UNLABELLED,
    UNREADABLE,
    DatasetIndex,
)
from workbench.datasets.query import QueryError, complete, parse_query
from workbench.datasets.query_parsing import quote, split_words

NOW = datetime.now().astimezone().replace(hour=12, minute=0)


def _at(**ago: int) -> int:
    return int((NOW - timedelta(**ago)).timestamp()) * 10**9


def _index() -> DatasetIndex:
    """Six images: name, split, boxes as (class, x, y, w, h), state, size, age in days."""
    rows: list[tuple[str, int, list[tuple[float, ...]], int, int, int]] = [
        ("cat one.jpg", 0, [(0, 0.5, 0.5, 0.5, 0.5), (2, 0.5, 0.5, 0.1, 0.05)], LABELLED, 3000, 0),
        ("Night.jpg", 0, [], UNLABELLED, 2_000_000, 1),
        ("night_2.jpg", 0, [(1, 0.5, 0.5, 0.2, 0.2)], LABELLED, 1000, 3),
        ("empty.jpg", 1, [], BACKGROUND, 5000, 10),
        ("full.jpg", 1, [(1, 0.5, 0.5, 0.4, 0.4)] * 4, LABELLED, 4000, 40),
        ("odd.jpg", 2, [], UNREADABLE, 4000, 40),
    ]
    owners = [i for i, row in enumerate(rows) for _ in row[2]]
    boxes = np.array([box for row in rows for box in row[2]], dtype=np.float64).reshape(-1, 5)
    changed = np.array([_at(days=row[5]) for row in rows], dtype=np.int64)
    labelled = np.array([row[3] != UNLABELLED for row in rows])
    return DatasetIndex(
        classes=["cat", "dog", "red cell", "Cat"],
        filenames=[row[0] for row in rows],
        split=np.array([row[1] for row in rows], dtype=np.int8),
        size_bytes=np.array([row[4] for row in rows], dtype=np.int64),
        modified_ns=changed,
        label_bytes=np.where(labelled, 0, -1),
        label_modified_ns=np.where(labelled, changed - 10**15, -1),
        state=np.array([row[3] for row in rows], dtype=np.uint8),
        num_boxes=np.array([len(row[2]) for row in rows], dtype=np.int64),
        image_index=np.array(owners, dtype=np.int64),
        class_id=boxes[:, 0].astype(np.int64),
        boxes=boxes[:, 1:],
        width=np.array([640, 1280, 640, 320, 1920, -1], dtype=np.int32),
        height=np.array([480, 720, 480, 240, 1080, -1], dtype=np.int32),
        tags={"odd": np.array([0, 0, 0, 0, 0, 1], dtype=np.bool_), "two words": labelled},
        predicted=np.array([1, 0, 0, 0, 0, 0], dtype=np.bool_),
        order_by_similarity=np.array([5, 3, 1, 0, 2, 4]),
    )


INDEX = _index()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("  ", [0, 1, 2, 3, 4, 5]),
        ("night", [1, 2]),
        ("NIGHT 2", [2]),
        ('"cat one"', [0]),
        ("-night", [0, 3, 4, 5]),
        ("split:val", [3, 4]),
        ("Split:VAL", [3, 4]),
        ("-split:train", [3, 4, 5]),
        ("class:cat", [0]),
        ("class:dog", [2, 4]),
        ("class:DOG", [2, 4]),
        ('class:"red cell"', [0]),
        ("class:1", [2, 4]),
        ("class:Cat", []),
        ("-class:dog", [0, 1, 3, 5]),
        ("class:cat class:dog", []),
        ('class:cat class:"red cell"', [0]),
        ("boxes>3", [4]),
        ("boxes>=1", [0, 2, 4]),
        ("boxes=0", [1, 3, 5]),
        ("boxes<=1", [1, 2, 3, 5]),
        ("-boxes<2", [0, 4]),
        ("area<0.01", [0]),
        ("area>=.16", [0, 4]),
        ("width>1000", [1, 4]),
        ("height<=480", [0, 2, 3]),
        ("size>1mb", [1]),
        ("size<=4kb", [0, 2, 4, 5]),
        ("size=1000b", [2]),
        ("size<1.5e3", [2]),
        ("unlabelled", [1]),
        ("background", [3]),
        ("labelled", [0, 2, 4]),
        ("unreadable", [5]),
        ("-labelled -unreadable", [1, 3]),
        ('"labelled"', []),
        ("unlabeled", [1]),
        ("Labeled -split:train", [4]),
        ("boxes > 3", [4]),
        ("night boxes >= 1", [2]),
        ("boxes:>3", [4]),
        ("boxes:1", [2]),
        ("boxes==2", [0]),
        ("boxes!=0", [0, 2, 4]),
        ('class: "red cell"', [0]),
        ("class=dog split = val", [4]),
        ("class!=dog", [0, 1, 3, 5]),
        ("-class : dog", [0, 1, 3, 5]),
        ("not class:dog", [0, 1, 3, 5]),
        ("not -class:dog", [2, 4]),
        ("night and not boxes > 0", [1]),
        ("night AND boxes>0 or tag:odd and unreadable", [2, 5]),
        ('"and"', []),
        ("sort: -size split:train", [1, 0, 2]),
        ("predicted", [0]),
        ("tag:odd", [5]),
        ('-tag:"two words"', [1]),
        ("modified:today", [0]),
        ("modified:yesterday", [1]),
        ("modified:week", [0, 1, 2]),
        (f"modified:{(NOW - timedelta(days=10)).date()}", [3]),
        (f"modified>{(NOW - timedelta(days=10)).date()}", [0, 1, 2]),
        (f"modified>={(NOW - timedelta(days=10)).date()}", [0, 1, 2, 3]),
        (f"modified<{(NOW - timedelta(days=10)).date()}", [4, 5]),
        ("modified<=yesterday", [1, 2, 3, 4, 5]),
        ("split:val or tag:odd", [3, 4, 5]),
        ("night split:train OR boxes>3 class:dog", [1, 2, 4]),
        ('"or"', []),
        ("class:dog sort:-boxes", [4, 2]),
        ("sort:name", [0, 1, 2, 3, 4, 5]),
        ("sort:-name", [5, 4, 3, 2, 1, 0]),
        ("sort:date", [4, 5, 3, 2, 1, 0]),
        ("sort:-date", [0, 1, 2, 3, 4, 5]),
        ("sort:size", [2, 0, 4, 5, 3, 1]),
        ("-sort:size", [1, 3, 4, 5, 0, 2]),
        ("sort:-area labelled", [0, 4, 2]),
        ("sort:similarity", [5, 3, 1, 0, 2, 4]),
        ("sort:-similarity labelled", [4, 2, 0]),
        ("sort:boxes -split:test sort:-size", [1, 3, 4, 0, 2]),
    ],
)
def test_what_a_query_finds(text: str, expected: list[int]) -> None:
    assert parse_query(text).run(INDEX).tolist() == expected


@pytest.mark.parametrize(
    ("text", "word", "message"),
    [
        ("night split:vla", "split:vla", "split:val"),
        ("split:", "split:", "expected a name"),
        ("split>val", "split>val", "split:val"),
        ("split : vla", "split : vla", "did you mean split:val? (expected one of"),
        ("clas:cat", "clas:cat", "did you mean class:"),
        ("class:dgo", "class:dgo", "did you mean class:dog"),
        ("class:redcell", "class:redcell", 'did you mean class:"red cell"'),
        ("class:7", "class:7", "cat, dog, red cell"),
        ("-tag:odt", "-tag:odt", "did you mean tag:odd"),
        ("boxes > ", "boxes > ", "boxes>3"),
        ("class:cell", "class:cell", 'did you mean class:"red cell"'),
        ("cat and", "and", "both sides"),
        ("and cat", "and", 'write "and"'),
        ("cat or and dog", "and", "both sides"),
        ("cat not", "not", "behind it"),
        ("not or cat", "not", 'write "not"'),
        ("boxes>many", "boxes>many", "a number"),
        ("boxes>3kb", "boxes>3kb", "a number"),
        ("boxes>nan", "boxes>nan", "a number"),
        ("size>3tb", "size>3tb", "size>1.5mb"),
        ("modified:tody", "modified:tody", "did you mean modified:today"),
        ("modified:2024-13-01", "modified:2024-13-01", "2024-05-31"),
        ("sort:colour", "sort:colour", "similarity"),
        ("sort>name", "sort>name", "sort:"),
        ('class:"red', 'class:"red', "closing quote"),
        ("cat or", "or", "both sides"),
        ("or", "or", "both sides"),
        ("a or or b", "or", "both sides"),
    ],
)
def test_what_is_refused_and_how(text: str, word: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text).run(INDEX)
    assert caught.value.word == word
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_what_helps_most_comes_first_and_long_lists_end() -> None:
    many = replace(INDEX, classes=[f"class {number}" for number in range(300)])
    with pytest.raises(QueryError) as caught:
        parse_query("class:dog").run(many)
    assert str(caught.value).endswith("class 10, class 11 and 288 more")
    with pytest.raises(QueryError) as caught:
        parse_query("class:cla55").run(INDEX)
    assert str(caught.value) == "class:cla55: the classes are cat, dog, red cell, Cat"
    with pytest.raises(QueryError) as caught:
        parse_query("class:dgo").run(INDEX)
    assert str(caught.value).startswith("class:dgo: did you mean class:dog? (")


def test_an_accent_is_found_however_it_is_written() -> None:
    composed, apart = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
    index = replace(INDEX, filenames=[composed, apart, "CAFE", "a", "b", "c"])
    for typed in (composed, apart, composed.upper()):
        assert parse_query(typed).run(index).tolist() == [0, 1]


def test_what_is_not_known_yet_is_said() -> None:
    blind = replace(INDEX, width=np.zeros(6, np.int32), order_by_similarity=None)
    assert parse_query("width>3").needs_pixels
    assert not parse_query("boxes>3").needs_pixels
    with pytest.raises(QueryError, match="have not been read"):
        parse_query("width>3").run(blind)
    with pytest.raises(QueryError, match="not been compared"):
        parse_query("sort:similarity").run(blind)


_WORDS = st.sampled_from(
    [
        "night",
        "split:val",
        "class:dog",
        'class:"red cell"',
        "boxes>1",
        "area<0.2",
        "width>600",
        "size>4kb",
        "unlabelled",
        "background",
        "tag:odd",
        "modified:week",
        "predicted",
    ]
)


@given(_WORDS)
def test_a_word_and_its_negation_share_the_dataset(word: str) -> None:
    found, rest = (parse_query(text).run(INDEX).tolist() for text in (word, f"-{word}"))
    assert sorted(found + rest) == list(range(len(INDEX)))


@given(st.lists(_WORDS, max_size=4), st.lists(_WORDS, min_size=1, max_size=4))
def test_words_narrow_and_alternatives_widen(first: list[str], second: list[str]) -> None:
    one = set(parse_query(" ".join(first)).run(INDEX).tolist())
    other = set(parse_query(" ".join(second)).run(INDEX).tolist())
    assert set(parse_query(" ".join(first + second)).run(INDEX).tolist()) == one & other
    if first:
        either = f"{' '.join(first)} or {' '.join(second)}"
        assert set(parse_query(either).run(INDEX).tolist()) == one | other


@given(
    st.lists(_WORDS, max_size=3),
    st.sampled_from(["name", "date", "size", "boxes", "area", "similarity"]),
    st.sampled_from(["", "-"]),
)
def test_an_order_neither_loses_nor_adds(words: list[str], order: str, sign: str) -> None:
    plain = parse_query(" ".join(words)).run(INDEX)
    ordered = parse_query(" ".join([*words, f"sort:{sign}{order}"])).run(INDEX)
    assert sorted(ordered.tolist()) == plain.tolist()


@given(st.text(min_size=1))
@example("<3").via("an operator, if it were not in quotes")
@example("==")
def test_any_name_can_be_quoted(name: str) -> None:
    (word,) = split_words(f"class:{quote(name)}")
    assert (word.key, word.operator, word.value) == ("class", ":", name)
    words = split_words(f"a -class:{quote(name)} b")
    assert [w.value for w in words] == ["a", name, "b"]
    assert words[1].negated


@given(st.text())
def test_nothing_that_is_typed_breaks_it(text: str) -> None:
    with suppress(QueryError):  # any other error is a bug
        parse_query(text).run(INDEX)
    for cursor in range(min(len(text), 8) + 1):
        for completion in complete(text, cursor, INDEX):
            assert 0 <= completion.start <= completion.end <= len(text)


# --- completion --------------------------------------------------------------------------


def _completed(text: str, cursor: int | None = None) -> list[str]:
    cursor = len(text) if cursor is None else cursor
    found = complete(text, cursor, INDEX)
    return [text[: c.start] + c.insert + text[c.end :] for c in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spl", ["split:"]),
        ("un", ["unlabelled", "unreadable"]),
        ("night bo", ["night boxes>"]),
        ("split:", ["split:train", "split:val", "split:test"]),
        ("-split:v", ["-split:val"]),
        ("class:c", ["class:cat", 'class:"red cell"', "class:Cat"]),
        ('class:"red', ['class:"red cell"']),
        ('class:"red c', ['class:"red cell"']),
        ("a tag:", ["a tag:odd", 'a tag:"two words"']),
        ("modified:y", ["modified:yesterday"]),
        ("sort:-d", ["sort:-date"]),
        ("boxes>", []),
        ("split:val", []),
        ("do", ["class:dog"]),
        ("night -re", ['night -class:"red cell"']),
        ("wo", ['tag:"two words"']),
        ("unlabele", ["unlabelled"]),
        ("split: v", ["split:val"]),
        ('"cat one" spl', ['"cat one" split:']),
        ('class:"red cell" class:do', ['class:"red cell" class:dog']),
    ],
)
def test_completions(text: str, expected: list[str]) -> None:
    assert _completed(text) == expected


def test_a_completion_replaces_the_word_at_the_cursor() -> None:
    assert _completed("night s boxes>3", 7) == [
        "night split: boxes>3",
        "night sort: boxes>3",
        "night size> boxes>3",
    ]
    assert _completed("class:dg night", 7) == ["class:dog night"]


def test_labels_say_how_many() -> None:
    (dog,) = complete("class:do", 8, INDEX)
    assert dog.label == "class:dog  (5)"
    assert [c.label for c in complete("split:t", 7, INDEX)] == [
        "split:train  (3)",
        "split:test  (1)",
    ]


@given(_WORDS, st.integers(1, 12))
def test_every_completion_of_a_known_word_is_understood(word: str, length: int) -> None:
    for completion in complete(word[:length], length, INDEX):
        if not completion.insert.endswith((":", ">")):
            parse_query(completion.insert).run(INDEX)
