"""Base64, held to the standard library's strict decoder."""

import base64
import binascii

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.imaging import text_kernels
from uncrop.imaging.text import decode_base64, warm_up


def strictly(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


@settings(deadline=None)  # the first one compiles
@given(st.binary(max_size=200))
def test_what_was_encoded_comes_back(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data


@settings(deadline=None)  # the first one compiles
@given(st.text("AZaz09+/=-_ \nü\u20ac", max_size=24))
def test_text_is_refused_where_the_standard_library_refuses_it(text: str) -> None:
    assert decode_base64(text) == strictly(text)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 400, 4001, 4002, 4003])
@pytest.mark.parametrize("wrong", ["=", "-", "_", " ", "\n", "\0", "\x7f"])
def test_a_character_that_is_no_digit_is_found_anywhere(place: int, wrong: str) -> None:
    text = base64.b64encode(bytes(range(256)) * 12).decode()
    assert decode_base64(text[:place] + wrong + text[place + 1 :]) is None


def test_the_kernel_says_the_same_without_being_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_kernels, "decode", text_kernels.decode.py_func)
    data = np.random.default_rng(0).bytes(100)
    with np.errstate(over="ignore"):
        assert decode_base64(base64.b64encode(data).decode()) == data
        assert decode_base64("AA*AAAAA") is None


def test_warming_up_compiles_what_is_needed() -> None:
    warm_up()
    before = list(text_kernels.decode.signatures)
    assert decode_base64("QUJDREVGRw==") == b"ABCDEFG"
    assert text_kernels.decode.signatures == before
