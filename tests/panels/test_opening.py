"""What a page is told of a panel's widgets as they are made."""

from __future__ import annotations

import re
from typing import Any

import ipywidgets as w
import pytest
from comm.base_comm import BaseComm

from workbench.panels.curate import CuratePanel
from workbench.panels.shared.opening import at_once
from workbench.persistence import create_memory_stores

REFERENCE = re.compile(r"IPY_MODEL_(\w+)")


class Line(BaseComm):  # type: ignore[misc]
    """A widget's line to the page, which keeps what goes out on all of them."""

    sent: list[tuple[str, str, dict[str, Any]]]

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any
    ) -> None:
        """Keep it."""
        self.sent.append((msg_type, self.comm_id, (data or {}).get("state", {})))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """Kind, line and state of each message."""
    monkeypatch.setattr(Line, "sent", [], raising=False)
    monkeypatch.setattr("comm.create_comm", Line)
    return Line.sent


async def test_each_widget_of_a_panel_is_told_once_behind_those_that_it_names(
    sent: list[tuple[str, str, dict[str, Any]]],
) -> None:
    panel = CuratePanel(None, create_memory_stores())
    assert {kind for kind, _, _ in sent} == {"comm_open"}
    known: set[str] = set()
    for _, line, state in sent:
        assert set(REFERENCE.findall(str(state))) <= known, state["_model_name"]
        assert line not in known
        known.add(line)
    assert panel.view.comm.comm_id in known
    styles = [state["_model_name"] for _, _, state in sent if "Style" in state["_model_name"]]
    assert len(styles) == len(set(styles)), "those that are alike are one"
    sent.clear()
    panel.classes.name.disabled = True
    assert [(kind, state) for kind, _, state in sent] == [("comm_msg", {"disabled": True})]
    panel.close()


class Failing:
    """Makes a widget with a style of its own, and fails."""

    @at_once
    def __init__(self) -> None:
        self.styled = w.Button(style={"button_color": "red"})
        raise ValueError("no")


async def test_what_a_constructor_that_fails_has_made_is_opened_and_later_ones_at_once(
    sent: list[tuple[str, str, dict[str, Any]]],
) -> None:
    with pytest.raises(ValueError, match="no"):
        Failing()
    assert [state["_model_name"] for _, _, state in sent][-1] == "ButtonModel"
    assert any(state.get("button_color") == "red" for _, _, state in sent)
    w.Button()
    assert len(sent) == 6
