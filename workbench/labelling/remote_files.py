"""Weights of labellers that somebody else has trained: which files there are, and where.

Sizes are what a person is told before the click. Those of Ultralytics come with their exact size
and digest from the page of the release, when they are fetched.
"""

from __future__ import annotations

from pathlib import Path

from workbench.training.base_models import weights_dir
from workbench.weights.fetching import RemoteFile
from workbench.weights.ultralytics_release import released

_CLIP = "https://openaipublic.azureedge.net/clip/models"
_VITB32 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"


VOCABULARY = RemoteFile(
    "bpe_simple_vocab_16e6.txt.gz",
    "https://github.com/openai/CLIP/raw/main/clip/bpe_simple_vocab_16e6.txt.gz",
    1_356_917,
    digest="924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
)
"""The words of CLIP, which all of the text encoders read."""

ENCODERS = {
    "clip:ViT-B/32": RemoteFile(
        "ViT-B-32.pt", f"{_CLIP}/{_VITB32}/ViT-B-32.pt", 353_976_522, digest=_VITB32
    ),
    "mobileclip:blt": released("mobileclip_blt.ts", 600),
    "mobileclip2:b": released("mobileclip2_b.ts", 254),
}
"""Text encoders, by Ultralytics' names."""

PROMPTED = {
    file.name: file
    for file in (
        *(released(f"yoloe-11{size}-seg.pt", mb) for size, mb in (("s", 28), ("m", 59), ("l", 71))),
        *(released(f"yoloe-26{size}-seg.pt", mb) for size, mb in (("n", 13), ("s", 32), ("m", 66))),
        *(
            released(f"yolov8{size}-worldv2.pt", mb)
            for size, mb in (("s", 26), ("m", 57), ("l", 94))
        ),
    )
}
"""Models that are told in words, or shown, what to look for."""

CLICKED = {file.name: file for file in (released("mobile_sam.pt", 41), released("sam_b.pt", 375))}
"""Models that find what a click is on."""


def folder() -> Path:
    """Return where such files lie on this machine."""
    return weights_dir()
