"""The numbers of an evaluation as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.mistakes import Comparison
from workbench.panels.evaluate.meaning import verdict
from workbench.panels.evaluate.model import Result
from workbench.panels.shared.parts import class_name, help_text, notes, number, table

_NONE = "–"
_WORDS = (
    "Precision: how many of the predictions are right. Recall: how many of the labels are found. "
    "F1 weighs both. mAP50: the average precision over all confidences and classes, where a "
    "prediction is right if it overlaps its label by half; mAP50-95 is stricter about where."
)
_AREAS = {"all": "", "small": "below 32² px", "medium": "32² to 96² px", "large": "from 96² px on"}


def share(value: float | None) -> str:
    """Return a share of 1 with three digits; a dash where there is none."""
    return _NONE if value is None or value != value else f"{value:.3f}"


def numbers(result: Result) -> str:
    """Return all numbers of one evaluation, and what has been left out of it."""
    evaluation = result.evaluation
    tables = _tables(evaluation, result.colours)
    parts = (_headline(evaluation), notes(evaluation.notes))
    return "".join((*parts, tables))


def compared(comparison: Comparison) -> str:
    """Return the numbers of two models side by side; the higher of two is bold."""
    first, second = comparison.models
    total = comparison.both + comparison.neither
    total += len(comparison.only_first) + len(comparison.only_second)
    found = [
        ["both", number(comparison.both)],
        [f"only {escape(first)}", number(len(comparison.only_first))],
        [f"only {escape(second)}", number(len(comparison.only_second))],
        ["neither", number(comparison.neither)],
    ]
    rows = [
        [escape(_metric_name(name)), *_pair(name, *values), _signed(values[1] - values[0])]
        for name, values in comparison.metrics.items()
        if name != "confidence"  # the threshold of the best F1: neither good nor bad
    ]
    heads = ("", first, second, "difference")
    return (
        '<div class="wbe-tables">'
        f"{table('Side by side', heads, rows)}"
        f"<div>{table(f'{number(total)} labels are found by', ('', 'labels'), found)}"
        f"{help_text('Those that only one of them finds stand under Mistakes.')}"
        "</div></div>"
    )


def _headline(evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    figures = (
        ("mAP50", metrics.map50),
        ("mAP50-95", metrics.map),
        ("Precision", metrics.precision),
        ("Recall", metrics.recall),
        ("F1", metrics.f1),
    )
    cells = "".join(
        f'<div><span class="wbe-what">{name}</span><span class="wbe-figure">{share(value)}</span>'
        "</div>"
        for name, value in figures
    )
    words = (
        f"Precision, recall and F1 at confidence {share(metrics.confidence)}, where F1 is highest."
        if metrics.f1
        else "Precision, recall and F1 are 0 at every confidence."
    )
    meaning = verdict(evaluation)
    said = f'<p class="wbe-verdict" role="status">{escape(meaning)}</p>' if meaning else ""
    return f'<div class="wbe-figures">{cells}</div>{said}{help_text(words, _WORDS)}'


def _tables(evaluation: Evaluation, colours: Sequence[str]) -> str:
    metrics = evaluation.metrics
    by_class = [
        [
            class_name(row.class_id, row.name, colours),
            number(row.labels),
            number(row.images),
            share(row.ap50),
            share(row.ap),
            f"<b>{share(row.best_confidence)}</b>",
            share(row.best_precision),
            share(row.best_recall),
            share(row.best_f1),
        ]
        for row in metrics.classes
    ]
    heads = ("class", "labels", "images", "AP50", "AP50-95", "best threshold")
    best = ("precision there", "recall there", "F1 there")
    by_size = [
        [
            escape(row.size) + (f" <small>{_AREAS[row.size]}</small>" if row.size != "all" else ""),
            number(row.labels),
            share(row.ap50),
            share(row.ap),
            share(row.recall),
        ]
        for row in evaluation.by_size
    ]
    size_heads = ("size", "labels", "AP50", "AP50-95", "highest recall")
    return table("By class", (*heads, *best), by_class) + table(
        "By size of the object, as COCO counts", size_heads, by_size
    )


def _pair(name: str, first: float, second: float) -> tuple[str, str]:
    texts = share(first), share(second)
    if texts[0] == texts[1]:
        return texts
    if first > second:
        return f"<b>{texts[0]}</b>", texts[1]
    return texts[0], f"<b>{texts[1]}</b>" if second > first else texts[1]


def _signed(value: float) -> str:
    if value != value:
        return _NONE
    return f"{value:+.3f}".replace("-", "−")


_NAMES = {"map50": "mAP50", "map75": "mAP75", "map": "mAP50-95", "f1": "F1"}


def _metric_name(name: str) -> str:
    known = _NAMES.get(name)
    if known is not None:
        return known
    for start, words in (
        ("ap50 ", "AP50 of "),
        ("ap ", "AP50-95 of "),
        ("coco ap ", "COCO AP, size "),
    ):
        if name.startswith(start):
            return words + name.removeprefix(start)
    return name
