"""Feeds by what a user chooses and types."""

from __future__ import annotations

from workbench.capture.feed import Feed

KINDS = ("browser", "camera", "stream", "video", "folder", "generated", "custom")


def make_feed(kind: str, place: str) -> Feed:
    """Return the feed of a kind; may read the header of a file.

    Parameters
    ----------
    kind : str
        ``"camera"``, ``"stream"``, ``"video"``, ``"folder"`` or ``"generated"``.
    place : str
        Index or path of a camera, address, or path.

    Raises
    ------
    ValueError
        If there is no such kind, or the place is missing.
    NotFoundError
        If there is no such file or folder.
    FeedError
        If a video cannot be read.
    """
    # OpenCV is loaded when a feed is made, not with the panels.
    from workbench.capture.folder_feed import FolderFeed
    from workbench.capture.generated_feed import GeneratedFeed
    from workbench.capture.opencv_feed import OpenCVFeed
    from workbench.capture.video_feed import VideoFeed

    if kind == "generated":
        return GeneratedFeed(image_size=(640, 480))
    if kind == "camera":
        return OpenCVFeed(int(place) if place.isdigit() else place or 0)
    if kind == "stream":
        if "://" not in place:
            raise ValueError(
                f"address {place!r}: expected one such as rtsp://user:password@host/stream or "
                "http://host/video"
            )
        return OpenCVFeed(place)
    if kind not in ("video", "folder"):
        raise ValueError(f"source {kind!r}: expected one of {', '.join(KINDS[1:-1])}")
    if not place:
        raise ValueError(f"type the path of the {kind} on the kernel's machine first")
    return VideoFeed(place) if kind == "video" else FolderFeed(place, fps=8)


def kind_of(feed: Feed) -> str:
    """Return which choice a feed belongs to; ``"custom"`` for one of the user's own."""
    names = {
        "BrowserFeed": "browser",
        "OpenCVFeed": "camera",
        "VideoFeed": "video",
        "FolderFeed": "folder",
        "GeneratedFeed": "generated",
    }
    kind = names.get(type(feed).__name__, "custom")
    return "stream" if kind == "camera" and "://" in feed.name else kind
