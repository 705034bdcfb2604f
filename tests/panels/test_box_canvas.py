"""The canvas as ipyannotations users meet it, and the messages it sends."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workbench.panels.annotate.annotator import BoxAnnotator
from workbench.panels.annotate.canvas import BoxCanvas
from workbench.panels.annotate.keys import ACTIONS, key_bindings
from workbench.panels.annotate.messages import CanvasBox, Edit, MessageError

BOX = {"type": "box", "label": "dog", "xyxy": (10, 20, 30.5, 40)}


@pytest.fixture
def annotator() -> Iterator[BoxAnnotator]:
    widget = BoxAnnotator(options=["cat", "dog"])
    yield widget
    widget.close()


def picture(width: int = 64, height: int = 48, **save: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "JPEG", **save)
    return buffer.getvalue()


def record(canvas: BoxCanvas, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the canvas sends to its pages from now on."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(
        canvas, "send", lambda message, buffers=None: sent.append({**message, "buffers": buffers})
    )
    return sent


def page_edit(canvas: BoxCanvas, *boxes: dict[str, Any], what: str = "draw") -> None:
    """A finished edit, as it comes from a page."""
    assert canvas.frame is not None
    message = {"kind": "edit", "key": canvas.frame.key, "revision": "", "boxes": list(boxes),
               "what": what, "session": "s", "seq": 1}  # fmt: skip
    canvas._receive(canvas, message, [])


ROW = {"class_id": 1, "xyxy": [10, 20, 30.5, 40]}


def test_display_takes_what_ipyannotations_takes(annotator: BoxAnnotator, tmp_path: Any) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(picture())
    for image in (picture(), file, str(file), np.zeros((48, 64, 3), np.uint8)):
        annotator.display(image)
        frame = annotator.canvas.frame
        assert (frame.width, frame.height) == (64, 48)
        assert annotator.data == []


def test_a_turned_photograph_has_its_shown_size(annotator: BoxAnnotator) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    annotator.display(picture(64, 48, exif=exif))
    assert (annotator.canvas.frame.width, annotator.canvas.frame.height) == (48, 64)


def test_data_has_the_form_that_ipyannotations_has(annotator: BoxAnnotator) -> None:
    annotator.display(picture())
    page_edit(annotator.canvas, ROW)
    assert annotator.data == [BOX]
    assert all(type(value) is int for value in annotator.data[0]["xyxy"][:2])


def test_data_can_be_set(annotator: BoxAnnotator, monkeypatch: pytest.MonkeyPatch) -> None:
    annotator.display(picture())
    sent = record(annotator.canvas, monkeypatch)
    annotator.data = [BOX]
    assert annotator.data == [BOX]
    assert [message["kind"] for message in sent] == ["labels"]
    assert sent[0]["boxes"] == [ROW]


def test_data_with_an_unknown_label_is_refused(annotator: BoxAnnotator) -> None:
    annotator.display(picture())
    with pytest.raises(ValueError, match="'cow' is not one of the options"):
        annotator.data = [{**BOX, "label": "cow"}]


def test_display_forgets_the_boxes_of_the_image_before(annotator: BoxAnnotator) -> None:
    annotator.display(picture())
    annotator.data = [BOX]
    annotator.display(picture())
    assert annotator.data == []


def test_an_edit_of_an_image_that_is_gone_changes_nothing(annotator: BoxAnnotator) -> None:
    annotator.display(picture())
    late = annotator.canvas.frame.key
    annotator.display(picture())
    message = {"kind": "edit", "key": late, "revision": "", "boxes": [ROW], "seq": 1}
    annotator.canvas._receive(annotator.canvas, message, [])
    assert annotator.data == []


def test_undo_takes_back_edits_of_page_and_python(annotator: BoxAnnotator) -> None:
    annotator.display(picture())
    page_edit(annotator.canvas, ROW)
    annotator.data = []
    annotator.undo()
    assert annotator.data == [BOX]
    annotator.undo()
    assert annotator.data == []


def test_undo_in_the_page_uses_up_the_step(annotator: BoxAnnotator) -> None:
    annotator.display(picture())
    page_edit(annotator.canvas, ROW)
    page_edit(annotator.canvas, what="undo")
    called = []
    annotator.on_undo(lambda: called.append(1))
    annotator.undo()
    assert called == [1]
    assert annotator.data == []


def test_submit_and_skip_call_back(annotator: BoxAnnotator) -> None:
    annotator.display(picture())
    annotator.data = [BOX]
    got: list[Any] = []
    annotator.on_submit(got.append)
    annotator.submit()
    annotator.canvas._receive(annotator.canvas, {"kind": "submit", "session": "s"}, [])
    annotator.skip()
    assert got == [[BOX], [BOX], None]


def test_postprocessor_is_applied() -> None:
    annotator = BoxAnnotator(options=["dog"], data_postprocessor=len)
    annotator.display(picture())
    annotator.data = [BOX]
    assert annotator.data == 1
    annotator.close()


def test_options_reach_the_canvas(annotator: BoxAnnotator) -> None:
    annotator.options = ["x", "y", "z"]
    assert annotator.canvas.classes == ["x", "y", "z"]
    assert annotator.canvas.current_class == "x"


def test_a_canvas_that_is_there_stays_as_it_is() -> None:
    canvas = BoxCanvas(classes=["x", "y"])
    canvas.current_class, canvas.opacity, canvas.image_contrast = "y", 0.5, 2
    annotator = BoxAnnotator(canvas=canvas)
    assert annotator.canvas is canvas
    assert annotator.options == ["x", "y"]
    assert (canvas.current_class, canvas.opacity, canvas.image_contrast) == ("y", 0.5, 2)
    canvas.classes = ["x", "y", "z"]
    assert annotator.options == ["x", "y", "z"]
    annotator.options = ["w"]
    assert (canvas.classes, canvas.current_class) == (["w"], "w")
    annotator.close()


def test_no_child_is_without_a_view(annotator: BoxAnnotator) -> None:
    assert annotator.event_watcher not in annotator.children
    assert all(child._view_name for child in annotator.children)


def test_a_page_that_starts_is_given_everything(
    annotator: BoxAnnotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = picture()
    annotator.display(content)
    page_edit(annotator.canvas, ROW)
    sent = record(annotator.canvas, monkeypatch)
    annotator.canvas._receive(annotator.canvas, {"kind": "hello", "session": "s9"}, [])
    (message,) = sent
    assert (message["kind"], message["to"], message["show"]) == ("frame", "s9", True)
    assert message["frame"]["boxes"] == [ROW]
    assert message["buffers"] == [content]


def test_frames_are_under_way_until_acknowledged(
    annotator: BoxAnnotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = annotator.canvas
    sent = record(canvas, monkeypatch)
    annotator.display(picture())
    frame = next(message for message in sent if message["kind"] == "frame")
    assert canvas.frames_under_way == 1
    canvas._receive(canvas, {"kind": "got", "session": "s", "id": frame["id"]}, [])
    assert canvas.frames_under_way == 0


@pytest.mark.parametrize(
    "row",
    [
        {"class_id": 1},
        {"class_id": "x", "xyxy": [1, 2, 3, 4]},
        {"class_id": 1, "xyxy": [1, 2, 3]},
        {"class_id": 1, "xyxy": [1, 2, 3, float("nan")]},
        {"class_id": 1, "xyxy": None},
    ],
)
def test_a_malformed_box_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="expected"):
        CanvasBox.from_row(row)


@pytest.mark.parametrize("missing", ["key", "revision", "boxes", "seq"])
def test_a_malformed_edit_is_refused(missing: str) -> None:
    message = {"key": "k", "revision": "", "boxes": [], "seq": 1}
    del message[missing]
    with pytest.raises(MessageError, match=missing):
        Edit.from_message(message)


def test_an_unreadable_message_is_shown(annotator: BoxAnnotator) -> None:
    annotator.canvas._receive(annotator.canvas, {"kind": "nonsense"}, [])
    assert "nonsense" in annotator.canvas.notice


def test_keys_can_be_changed() -> None:
    bindings = key_bindings({"next": "K", "help": []})
    assert (bindings["next"], bindings["help"]) == (["K"], [])
    assert set(bindings) == {item["action"] for item in ACTIONS}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"next": "A"}, "would start both 'next' and 'previous'"),
        ({"next": "5"}, "stands for a class"),
        ({"next": "Space"}, "Space moves the picture"),
        ({"nxt": "K"}, "no action 'nxt'"),
    ],
)
def test_conflicting_keys_are_refused(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        key_bindings(changes)
