"""Cameras and streams through OpenCV; the stream is a real one, from a server in the test."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from pathlib import Path

import pytest

from tests.capture.scripted import jpeg, picture, wait_until
from workbench.capture.opencv_feed import CameraRequest, OpenCVFeed


class Stream:
    """A camera that serves Motion JPEG over HTTP, and that one can pull the plug of."""

    def __init__(self) -> None:
        self.plugged, self.frozen = threading.Event(), threading.Event()
        self.plugged.set()
        stream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not stream.plugged.is_set():
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                part = jpeg(picture(0, 240, 320))
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
                while stream.plugged.is_set():
                    try:
                        if not stream.frozen.is_set():
                            self.wfile.write(head.encode() + part + b"\r\n")
                    except OSError:
                        return
                    time.sleep(0.01)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/video.mjpg"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.plugged.clear()
        self.frozen.clear()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream()
    yield made
    made.close()


def test_a_stream_that_drops_and_returns(stream: Stream) -> None:
    feed = OpenCVFeed(stream.url, first_back_off=0.05, stall_after=600)
    seen = []
    feed.on_state(lambda state: seen.append(state))
    frames = feed.subscribe(capacity=10_000)
    with feed:
        wait_until(lambda: len(frames) > 5)
        stream.plugged.clear()
        wait_until(lambda: feed.state.status == "stalled")
        assert "trying again" in feed.state.why
        stream.plugged.set()
        wait_until(lambda: feed.state.status == "live", "the stream is back")
        before = len(frames)
        wait_until(lambda: len(frames) > before + 5)
    # It may have tried in vain several times, and said so each time.
    statuses = [status for status, _ in groupby(state.status for state in seen)]
    assert statuses == ["opening", "live", "stalled", "live", "stopped"]
    numbers = [frame.sequence for frame in frames]
    assert numbers == list(range(len(numbers)))
    assert frames.dropped == 0


def test_a_stream_that_freezes_is_stalled_and_can_be_stopped(stream: Stream) -> None:
    feed = OpenCVFeed(stream.url, stall_after=0.3)
    feed.start()
    wait_until(lambda: feed.state.status == "live")
    stream.frozen.set()
    wait_until(lambda: feed.state.status == "stalled")
    feed.stop()
    assert feed.state.status == "stopped"


def test_a_stream_that_is_not_there(stream: Stream) -> None:
    stream.plugged.clear()
    feed = OpenCVFeed(stream.url.replace("127.0.0.1", "user:secret@127.0.0.1"))
    feed.start()
    wait_until(lambda: feed.state.status == "failed")
    assert "check the address" in feed.state.why
    assert "secret" not in feed.state.why
    assert "secret" not in feed.name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="device files are Linux's")
def test_a_camera_that_is_not_there_or_not_ours(tmp_path: Path) -> None:
    feed = OpenCVFeed(63)
    feed.start()
    wait_until(lambda: feed.state.status == "failed")
    assert "there is no device /dev/video63" in feed.state.why
    nothing = tmp_path / "video0"
    nothing.write_bytes(b"")
    other = OpenCVFeed(str(nothing))
    other.start()
    wait_until(lambda: other.state.status == "failed")
    assert "another program uses it" in other.state.why


def test_what_a_device_is_called() -> None:
    assert CameraRequest(0).label == "camera 0"
    assert CameraRequest("/dev/video2").label == "/dev/video2"
    assert CameraRequest("rtsp://me:pass@host/1").label == "rtsp://***@host/1"
    assert CameraRequest("rtsp://host/1").is_stream
