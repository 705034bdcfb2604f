"""The machine that follows a pickle without doing any of it."""

from __future__ import annotations

import contextlib
import pickle
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.weights import Say, program
from workbench.weights import program as module
from workbench.weights.program import UNKNOWN, Made, Program, ProgramError

atoms = st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False)
atoms |= st.text() | st.binary()
keys = st.text() | st.integers(-(2**31), 2**31) | st.none()
data = st.recursive(
    atoms,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(value=data, protocol=st.sampled_from([3, 4, 5]))
def test_plain_data_come_out_as_pickle_reads_them(value: object, protocol: int) -> None:
    found = Program(pickle.dumps(value, protocol))
    assert found.result == value
    assert not found.unknown


@settings(deadline=None)
@given(noise=st.binary(max_size=300))
def test_noise_is_an_error_of_ours_or_means_something(noise: bytes) -> None:
    for start in (b"", b"\x80\x02", b"\x80\x04"):
        with contextlib.suppress(ProgramError):
            Program(start + noise)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "builtins.exec",
        "functools.partial",
        "operator.attrgetter",
        "torch.load",
        "torch.hub.load",
        "torch.jit._script.unpackage_script_module",
        "ultralytics.nn.tasks.load_checkpoint",
        "ultralytics.nn.tasks.Ensemble",
        "ultralytics.nn.tasks.torch_safe_load",
        "ultralytics.nn.distill_model.DistillationModel",
        "ultralytics.nn.modules.block.TorchVision",
        "ultralytics.nn.modules.TorchVision",
        "ultralytics.nn.text_model.CLIP",
        "ultralytics.nn.autobackend.AutoBackend",
        "torch.nn.modules.module.Module",
        "torch.nn.modules.conv.conv2d",
        "ultralytics.nn.modules.conv.Conv.forward",
        "types.FunctionType",
    ],
)
def test_whatever_loads_fetches_or_evaluates_is_named(name: str) -> None:
    assert Program(program({"model": Say(name, "x")})).unknown == {name}


def test_a_layers_own_way_of_computing_is_no_code() -> None:
    detect = "cultralytics.nn.modules.head\nDetect\n"
    good = f"\x80\x02cbuiltins\ngetattr\n({detect}X\x07\x00\x00\x00forwardtR.".encode("latin-1")
    found = Program(good)
    assert not found.unknown
    assert isinstance(found.result, Made)
    for owner, attribute in ((detect, "__globals__"), ("cbuiltins\nlist\n", "forward")):
        size = struct.pack("<I", len(attribute)).decode("latin-1")
        bad = f"\x80\x02cbuiltins\ngetattr\n({owner}X{size}{attribute}tR.".encode("latin-1")
        assert Program(bad).unknown == {"builtins.getattr"}


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


OS, SYSTEM = _text("os"), _text("system")
ROUTES = {
    "by its name": b"cos\nsystem\n",
    "by its name, with a point in the name": b"cos\npath.os.system\n",
    "of two texts": OS + SYSTEM + b"\x93",
    "of two short texts": b"\x8c\x02os\x8c\x06system\x93",
    "of texts of Python 2": b"U\x02osT\x06\0\0\0system\x93",
    "of quoted texts": b"S'os'\nS'system'\n\x93",
    "of lines of text": b"Vos\nVsys\\u0074em\n\x93",
    "of texts from the memo": OS + b"q\0" + SYSTEM + b"q\x01h\0h\x01\x93",
    "of texts from the long memo": OS + b"r\0\x01\0\0" + SYSTEM + b"\x94j\0\x01\0\0h\x01\x93",
    "of texts from the memo by lines": OS + b"p7\n" + SYSTEM + b"p8\ng7\ng8\n\x93",
    "doubled": OS + SYSTEM + b"\x93" + b"2",
    "kept in the memo": b"cos\nsystem\nq\x050h\x05",
    "over a name of the list in the memo": (
        b"ccollections\nOrderedDict\nq\x05cos\nsystem\nq\x05h\x05"
    ),
    "thrown away": b"cos\nsystem\n0N",
    "thrown away with a mark": b"(cos\nsystem\n1N",
    "called in the old way": b"(Vtrue\nios\nsystem\n",
    "as an object": b"(cos\nsystem\nVtrue\no",
    "made anew": b"cos\nsystem\n(Vtrue\nt\x81",
    "made anew with names": b"cos\nsystem\n(Vtrue\nt}\x92",
    "as where a tensor's numbers lie": b"(Vstorage\ncos\nsystem\nV0\nVcpu\nK\1tQ",
    "in a set": b"\x8f(cos\nsystem\n)R0N\x90",
    "as the state of a layer": b"ctorch.nn.modules.linear\nIdentity\n)\x81cos\nsystem\nb",
    "behind a mark": b"((((cos\nsystem\nt0000N",
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", [b"", b"\x80\2", b"\x80\4", b"\x80\5", b"\x80\xff"])
def test_every_way_to_a_name_is_seen(route: str, protocol: bytes) -> None:
    found = Program(protocol + ROUTES[route] + b".").unknown
    assert found & {"os.system", "os.path.os.system"}


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_number_that_stands_for_a_name_is_no_name_of_the_list(width: int) -> None:
    codes = {1: b"\x82", 2: b"\x83", 4: b"\x84"}
    assert Program(b"\x80\2" + codes[width] + b"\1" * width + b".").unknown == {UNKNOWN}


def test_what_lies_outside_is_called_by_nobody() -> None:
    for outside in (b"Pos.system\n", b"Vos.system\nQ", b"(Vos\nVsystem\ntQ"):
        assert Program(outside + b")R.").unknown == {UNKNOWN}
        for end in (b"}b.", b"K\1a.", b"(K\1K\1u."):  # filled as if it were a thing
            with pytest.raises(ProgramError):
                Program(outside + end)


def test_the_memo_gives_what_was_put_there_last() -> None:
    assert Program(b"K\1q\0K\2q\0h\0.").result == 2
    assert Program(b"K\1p4294967296\n0g4294967296\n.").result == 1
    for nothing in (b"h\0.", b"g7\n.", b"j\xff\xff\xff\xff.", b"\x94.", b"q\0."):
        with pytest.raises(ProgramError, match="damaged"):
            Program(nothing)


def test_calling_what_was_made_and_numbers_for_names_are_unknown() -> None:
    made = b"ccollections\nOrderedDict\n(]tR"
    assert Program(b"\x80\x02" + made + b")R.").unknown == {UNKNOWN}
    assert Program(b"\x80\x02\x82\x01.").unknown == {UNKNOWN}


@pytest.mark.parametrize(
    ("bomb", "reason"),
    [
        (b"\x80\x02" + b"N" * (module.MAX_INSTRUCTIONS + 5) + b".", "1,000,000 instructions"),
        (b"\x80\x02" + b"\0" * module.MAX_BYTES, "a pickle of 8,388,610 bytes"),
        (b"\x80\x02r\xff\xff\xff\xff.", "damaged"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f1.", "a whole number of 2147483647 bytes"),
        (b"\x80\x02L" + b"9" * 5000 + b"L\n.", "a number of 5001 digits"),
        (b"\x80\x02B\xff\xff\xff\xff.", "its end missing"),
        (b"\x80\x02}\x8a\x08" + b"\xff" * 7 + b"\x7fNs.", "a key that is neither"),
        (b"\x80\x02})Ns.", "a key that is neither"),
        (b"\x80\x02\x97.", "a buffer outside it"),
        (b"\x80\x02(", "damaged"),
    ],
)
def test_what_would_take_long_or_much_is_refused(bomb: bytes, reason: str) -> None:
    with pytest.raises(ProgramError, match=reason):
        Program(bomb)


def test_tuples_of_tuples_take_no_longer_than_they_are() -> None:
    # As a key, it would take 2**200 steps.
    doubled = b"\x80\x02)" + b"2\x86" * 200 + b"."
    found = Program(doubled).result
    for _ in range(200):
        assert found[0] is found[1]
        found = found[0]
    assert found == ()
