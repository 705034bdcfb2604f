"""A hand at an annotator in a page, and a clock beside it: the parts of `annotator.py`."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from playwright.sync_api import Page

from benchmarks.annotator_subjects import COLOURS, LAG_SIZE, PAPER, box_of

PROBE = Path(__file__).with_name("annotator_probe.js").read_text()
STEP, STEPS, PACE_S = 8, 75, 0.02
"""CSS pixels between two moves of the pointer, how many there are in a drag, and how often."""
TOLERANCE = 3
PATIENCE_MS = 15_000
"""What has not happened by then counts as having taken this long."""
LANES = (0.06, 0.18, 0.30)
"""Where drags begin, as fractions of the picture's height; the other boxes lie below."""
QUIET_MS = 1500


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of many times the same thing."""

    values: list[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return self._decile(5)

    @property
    def p90(self) -> float:
        """Nine in ten are below."""
        return self._decile(9)

    def _decile(self, number: int) -> float:
        return quantiles(self.values, n=10, method="inclusive")[number - 1]

    def __str__(self) -> str:
        return f"{shown_ms(self.median)} / {shown_ms(self.p90)}"


@dataclass(slots=True)
class Traffic:
    """Bytes in the WebSocket frames of a page."""

    sent: int = 0
    received: int = 0

    def __str__(self) -> str:
        return f"{self.sent:,} out, {self.received:,} in"


class Hand:
    """Works a page's annotator, and looks on through the probe."""

    def __init__(self, page: Page, root: str, kind: str) -> None:
        self.page = page
        self.target = {"selector": root, "kind": kind, "patience": PATIENCE_MS}
        self.traffic = Traffic()
        client = page.context.new_cdp_session(page)
        client.on("Network.webSocketFrameSent", lambda event: self._count("sent", event))
        client.on("Network.webSocketFrameReceived", lambda event: self._count("received", event))
        client.send("Network.enable")

    def picture(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of the whole picture on the page."""
        found = self.page.evaluate(
            "([root, kind]) => annotatorProbe.picture(root, kind)",
            [self.target["selector"], self.target["kind"]],
        )
        scale = found.get("scale")
        if scale is None:
            return found["left"], found["top"], found["width"], found["height"]
        return found["left"], found["top"], width * scale, height * scale

    def drag(self, lane: float) -> list[float]:
        """Draw a box to the right; return the lag of every move in milliseconds."""
        left, top, width, height = self.picture(*LAG_SIZE)
        x, y = left + 0.05 * width, top + lane * height
        region = {"left": round(x) + 12, "top": round(y) + 8, "width": 720, "height": 10}
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + STEP, y + 32)
        self._probe("startDrag", lane=region)
        begin = time.perf_counter()
        for step in range(3, STEPS + 3):
            mouse.move(x + step * STEP, y + 32)
            time.sleep(max(begin + (step - 2) * PACE_S - time.perf_counter(), 0))
        seen = self.page.evaluate("(slack) => annotatorProbe.endDrag(slack)", TOLERANCE)
        mouse.up()
        return _lags(seen["moves"], seen["samples"])

    def next_image(self, key: str, index: int, size: tuple[int, int]) -> float:
        """Press a key; return the milliseconds until image `index` is painted."""
        left, top, width, height = self.picture(*size)
        box_left, box_top, _, _ = box_of(index)
        self._probe(
            "startNext",
            patch={"left": round(left + 0.06 * width), "top": round(top + 0.06 * height)},
            colour=list(COLOURS[index % len(COLOURS)]),
            box={
                "left": round(left + box_left * width),
                "top": round(top + box_top * height),
            },
            paper=PAPER,
        )
        self.page.keyboard.press(key)
        return self._result()

    def edit(self, number: int) -> float:
        """Draw a small box; return the milliseconds until the page says "saved"."""
        left, top, width, _ = self.picture(*LAG_SIZE)
        x, y = left + (0.05 + 0.04 * (number % 20)) * width, top + 20 + 40 * (number // 20 % 4)
        self.page.keyboard.press("Escape")
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + 10, y + 12)
        self.page.mouse.move(x + 20, y + 24)
        self._probe("startSave")
        self.page.mouse.up()
        return self._result()

    def settle(self) -> None:
        """Wait until nothing has gone over the connection for a while."""
        before = None
        while before != (self.traffic.sent, self.traffic.received):
            before = (self.traffic.sent, self.traffic.received)
            self.page.wait_for_timeout(QUIET_MS)

    def _probe(self, what: str, **more: Any) -> None:
        self.page.evaluate(f"(options) => annotatorProbe.{what}(options)", self.target | more)

    def _result(self) -> float:
        found = self.page.evaluate("() => annotatorProbe.result()")
        return PATIENCE_MS if found is None else float(found)

    def _count(self, way: str, event: dict[str, Any]) -> None:
        frame = event["response"]
        data = frame["payloadData"]
        size = len(base64.b64decode(data)) if frame["opcode"] == 2 else len(data.encode())
        setattr(self.traffic, way, getattr(self.traffic, way) + size)


def _lags(moves: list[list[float]], samples: list[list[float]]) -> list[float]:
    """For each move, how long it took until the drawn edge had come as far."""
    lags = []
    place = 0
    for at, x in moves:
        while place < len(samples) and samples[place][1] < x - TOLERANCE:
            place += 1
        lags.append(samples[place][0] - at if place < len(samples) else PATIENCE_MS)
    return lags


def shown_ms(value: float) -> str:
    """Return milliseconds for people."""
    if value >= PATIENCE_MS:
        return f"> {PATIENCE_MS / 1000:.0f} s"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
