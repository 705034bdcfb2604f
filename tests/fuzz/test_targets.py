"""Every fuzz target over its corpus, and over a few hundred variations of it."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import CORPUS, TARGETS, run

_SEEDS = {name: sorted((CORPUS / name).iterdir()) for name in TARGETS}


@pytest.mark.parametrize(
    "path",
    [path for paths in _SEEDS.values() for path in paths],
    ids=lambda p: "/".join(p.parts[-2:]),
)
def test_what_once_fell_out_holds(path: Path) -> None:
    run(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_is_taken(name: str) -> None:
    """Else the variations would only ever knock at the door."""
    assert any(run(name, path.read_bytes()) for path in _SEEDS[name])


def test_every_corpus_has_a_reader_and_stays_small() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    sizes = {path: path.stat().st_size for paths in _SEEDS.values() for path in paths}
    assert max(sizes.values()) <= 65_536
    assert sum(sizes.values()) < 500_000


@st.composite
def _variations(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with pieces cut out, doubled, overwritten or taken from another seed."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 64)))
        other = draw(st.sampled_from(seeds))
        piece = draw(
            st.one_of(
                st.just(b""),
                st.binary(max_size=8),
                st.just(data[start:end] * 3),
                st.just(other[start : start + 32]),
                st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"-1", b"1e999", b"null", b"["]),
            )
        )
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_variations_bring_no_reader_down(name: str) -> None:
    seeds = [path.read_bytes() for path in _SEEDS[name]]

    @settings(max_examples=300, deadline=None, suppress_health_check=[*HealthCheck])
    @given(data=_variations(seeds))
    def check(data: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy and PyYAML, for people to read
            run(name, data)

    check()
