"""What a plan says to choose, as the page of an import says it."""

from __future__ import annotations

import pytest

from workbench.datasets.formats.reasons import SENTENCES
from workbench.panels.shared.choice_words import in_page_words

CHOICES = (
    ("rows", "The numbers of a row are", (("centre", "x y width height"), ("corners", "x1 y1"))),
    ("convert", "Pictures that training does not read", (("png", "become PNG"), ("jpeg", "JPEG"))),
    ("encoding", "Text is", (("gb18030", "Chinese"),)),
)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "choose rows='corners' if they are",
            "choose “The numbers of a row are: x1 y1” if they are",
        ),
        (
            "choose convert='png' (or 'jpeg') to",
            "choose “Pictures that training does not read: become PNG or JPEG” to",
        ),
        ("that way (rows='centre' takes them as they stand), such", None),
        ("choose classes={'mug': 'cup'} if they are one", "call 'mug' 'cup' above if they are one"),
        ("choose encoding= for another: x", "choose another for “Text is”: x"),
        ("the pictures alone (unknown='ignore'), or", "the pictures alone, or"),
        ("choose levels=(1, 2)", "choose levels=(1, 2)"),
        ("choose rows='nothing'", "choose rows='nothing'"),
    ],
)
def test_keywords_become_labels(said: str, shown: str | None) -> None:
    wanted = (
        shown
        or "that way (“The numbers of a row are: x y width height” takes them as they stand), such"
    )
    assert in_page_words(said, CHOICES) == wanted


def test_no_sentence_of_a_plan_keeps_a_keyword_that_the_page_has() -> None:
    from workbench.panels.shared.import_words import _in_words

    kept = [text for text in map(_in_words, SENTENCES.values()) if "='" in text]
    assert kept == []
