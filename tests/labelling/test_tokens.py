"""Texts as numbers. The whole vocabulary was compared with another reader of it, by hand."""

from __future__ import annotations

import gzip

import pytest

from workbench.errors import InvalidModelError
from workbench.labelling.tokens import CONTEXT, Tokenizer

PAIRS = ["a t</w>", "c at</w>", "d o", "do g</w>", "ß x"]
LETTERS = 256


def tokenizer() -> Tokenizer:
    return Tokenizer(gzip.compress("\n".join(["first line", *PAIRS]).encode()), len(PAIRS))


def number(letter: str, *, last: bool = False) -> int:
    """Of a letter that has its own place: they begin at ``!``."""
    return ord(letter) - ord("!") + (LETTERS if last else 0)


def test_the_most_usual_pairs_are_joined_first() -> None:
    read = tokenizer()
    at, cat, dog = 2 * LETTERS, 2 * LETTERS + 1, 2 * LETTERS + 3
    first, second, third = read(["Cat", "  at \n DOG ", "cats"])
    assert first[:4].tolist() == [read.begin, cat, read.end, 0]
    assert second[:5].tolist() == [read.begin, at, dog, read.end, 0]
    letters = [number("c"), number("a"), number("t"), number("s", last=True)]
    assert third[:7].tolist() == [read.begin, *letters, read.end, 0]
    assert (read.begin, read.end) == (2 * LETTERS + len(PAIRS), 2 * LETTERS + len(PAIRS) + 1)


def test_words_digits_and_signs_are_apart() -> None:
    read = tokenizer()
    [row] = read(["it's 12!?"])
    words = [
        [number("i"), number("t", last=True)],
        [number("'"), number("s", last=True)],
        [number("1", last=True)],
        [number("2", last=True)],
        [number("!"), number("?", last=True)],
    ]
    expected = [read.begin, *(piece for word in words for piece in word), read.end]
    assert row[: len(expected)].tolist() == expected
    assert not row[len(expected) :].any()
    assert read(["&lt;"]).tolist() == read(["<"]).tolist()


def test_what_is_too_long_is_cut_off_before_its_end() -> None:
    read = tokenizer()
    [row] = read(["x " * 200])
    assert len(row) == CONTEXT
    assert row[0] == read.begin
    assert row[-1] == read.end
    assert set(row[1:-1].tolist()) == {number("x", last=True)}


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"first\na b\nonly-one"), gzip.compress(b"first\na b")],
    ids=["no gzip", "no pair", "too few"],
)
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidModelError, match="vocabulary of CLIP"):
        Tokenizer(content, 2)
