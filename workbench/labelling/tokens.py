"""Words as the numbers that text encoders of the CLIP family read. Pure.

The vocabulary is the one that OpenAI published with CLIP: 48,894 pairs of pieces, the most
usual first. A word is its bytes; what stands next to each other and is the most usual pair
becomes one piece, until no pair is left (byte pair encoding).
"""

from __future__ import annotations

import html
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidModelError

CONTEXT = 77
"""Numbers of a text; what is longer is cut off."""

_PAIRS = 49152 - 256 - 2
_MOST_BYTES = 16 * 2**20
_END_OF_WORD = "</w>"
_ENDINGS = re.compile("'s|'t|'re|'ve|'m|'ll|'d")

Pair = tuple[str, str]


class Tokenizer:
    """Turns texts into numbers.

    Parameters
    ----------
    vocabulary : bytes
        The file ``bpe_simple_vocab_16e6.txt.gz`` of CLIP.
    pairs : int
        So many pairs of it are used.

    Raises
    ------
    InvalidModelError
        If it is something else.
    """

    def __init__(self, vocabulary: bytes, pairs: int = _PAIRS) -> None:
        merges = _merges(vocabulary, pairs)
        letters = [*_letters().values()]
        pieces = [*letters, *(letter + _END_OF_WORD for letter in letters)]
        pieces += ["".join(pair) for pair in merges]
        self._number = {piece: number for number, piece in enumerate(pieces)}
        self._rank = {pair: rank for rank, pair in enumerate(merges)}
        self._letters = _letters()
        self.begin = len(pieces)
        self.end = len(pieces) + 1

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the numbers of texts, shape (texts, `CONTEXT`); what is left over is 0."""
        table = np.zeros((len(texts), CONTEXT), dtype=np.int64)
        for row, text in zip(table, texts, strict=True):
            numbers = [self.begin, *self._numbers(text)][: CONTEXT - 1]
            row[: len(numbers) + 1] = [*numbers, self.end]
        return table

    def _numbers(self, text: str) -> Iterator[int]:
        clean = unicodedata.normalize("NFC", html.unescape(html.unescape(text)))
        for word in _words(" ".join(clean.split()).lower()):
            letters = [self._letters[byte] for byte in word.encode()]
            for piece in self._joined(letters):
                yield self._number[piece]

    def _joined(self, letters: Sequence[str]) -> list[str]:
        pieces = [*letters[:-1], letters[-1] + _END_OF_WORD]
        while len(pieces) > 1:
            best = min(pairwise(pieces), key=lambda pair: self._rank.get(pair, len(self._rank)))
            if best not in self._rank:
                break
            pieces = _with_pair(pieces, best)
        return pieces


def _with_pair(pieces: Sequence[str], pair: Pair) -> list[str]:
    """Join each place where two pieces are this pair."""
    joined: list[str] = []
    place = 0
    while place < len(pieces):
        is_pair = tuple(pieces[place : place + 2]) == pair
        joined.append("".join(pair) if is_pair else pieces[place])
        place += 2 if is_pair else 1
    return joined


def _words(text: str) -> Iterator[str]:
    """Yield words, single digits, and what is neither."""
    place = 0
    while place < len(text):
        ending = _ENDINGS.match(text, place)
        if ending:
            yield ending[0]
            place = ending.end()
            continue
        kind = _kind(text[place])
        end = place + 1
        while kind != "N" and end < len(text) and _kind(text[end]) == kind:
            end += 1
        if kind != " ":
            yield text[place:end]
        place = end


def _kind(letter: str) -> str:
    if letter.isspace():
        return " "
    category = unicodedata.category(letter)[0]
    return category if category in "LN" else ""


def _letters() -> dict[int, str]:
    """Return a letter that can be seen for each byte: its own where it has one."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    own += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) for byte in own} | {
        byte: chr(256 + place) for place, byte in enumerate(others)
    }


def _merges(vocabulary: bytes, pairs: int) -> list[Pair]:
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(vocabulary, _MOST_BYTES)
        lines = unpacked.decode("utf-8").split("\n")[1 : pairs + 1]
        merges = [(first, second) for first, second in (line.split() for line in lines)]
    except (zlib.error, ValueError) as error:
        raise InvalidModelError(
            f"expected the vocabulary of CLIP, a gzip file with a pair of pieces in each line, "
            f"found something else ({error}); fetch it again"
        ) from error
    if len(merges) != pairs:
        raise InvalidModelError(
            f"expected the vocabulary of CLIP with {pairs:,} pairs, found {len(merges):,}; fetch "
            "it again"
        )
    return merges
