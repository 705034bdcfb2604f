"""Rows of label files that get another class, and everything else left as it stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.persistence.models import Annotation
from workbench.persistence.yolo.label_rows import map_classes, rewrite_rows
from workbench.persistence.yolo.label_text import format_labels, parse_labels

CLASSES = 12
REST = st.sampled_from(
    [
        " 0.5 0.5 0.25 0.25",
        "\t0.5  0.5 0.25 0.25 ",
        " 0.1 0.1 0.4 0.1 0.4 0.3",
        " 0.5 0.5 0.25 0.25 0.875",
    ]
)
IDS = st.integers(0, CLASSES - 1)
SPELLED = IDS.flatmap(lambda i: st.sampled_from([f"{i}", f"{i}.0", f"0{i}", f" {i}"]))
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\n \n"])
ROWS = st.lists(st.tuples(SPELLED, REST, ENDS), max_size=6)
MAPPINGS = st.dictionaries(IDS, st.one_of(st.none(), IDS))


@given(rows=ROWS, mapping=MAPPINGS, mark=st.sampled_from(["", "\ufeff"]), cut=st.booleans())
def test_only_the_class_id_changes(
    rows: list[tuple[str, str, str]], mapping: dict[int, int | None], mark: str, cut: bool
) -> None:
    text = mark + "".join(map("".join, rows))
    data = (text.rstrip() if cut else text).encode()
    mapped = map_classes(data, mapping)
    if all(mapping.get(int(float(spelled))) is not None for spelled, _, _ in rows):
        # No row goes: what stands around the ids is there to the last byte.
        assert len(mapped.split()) == len(data.split())
    expected = [
        (mapping.get(a.class_id, a.class_id), a.xywh)
        for a in parse_labels(data, "x", CLASSES).annotations
        if mapping.get(a.class_id, a.class_id) is not None
    ]
    after = parse_labels(mapped, "x", CLASSES).annotations
    assert [(a.class_id, a.xywh) for a in after] == expected
    kept = [rest for spelled, rest, _ in rows if mapping.get(int(float(spelled)), 0) is not None]
    rests = [
        line.split(None, 1)[1].strip()
        for line in mapped.decode("utf-8-sig").splitlines()
        if line.strip()
    ]
    assert rests == [rest.strip() for rest in kept]
    assert map_classes(data, {}) == data


@given(ids=st.lists(IDS, max_size=8), mapping=MAPPINGS)
def test_the_quick_way_is_the_slow_way(ids: list[int], mapping: dict[int, int | None]) -> None:
    data = format_labels([Annotation(i, 0.5, 0.5, 0.25, 0.25) for i in ids])
    slow = rewrite_rows(data, lambda _, class_id: mapping.get(class_id, class_id))
    assert map_classes(data, mapping) == slow


def test_a_plain_file_keeps_the_spelling_of_ids_that_stay() -> None:
    data = b"03 0.5 0.5 0.25 0.25\n4 0.5 0.5 0.25 0.25\n"
    assert map_classes(data, {4: 5}) == data.replace(b"\n4", b"\n5")
    assert map_classes(data, {3: 11}) == data.replace(b"03", b"11")
