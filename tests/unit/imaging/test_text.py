"""Base64, held to the standard library's strict decoder, and in every spelling that has one meaning."""

import base64
import binascii
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.imaging import text_kernels
from uncrop.imaging.text import decode_base64, warm_up


def loosely(text: str) -> bytes | None:
    """Decode with the standard library alone what is base64 but for its spelling."""
    digits = "".join(text.split(None)).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


@st.composite
def spellings(draw: st.DrawFn, data: bytes) -> str:
    encode = draw(st.sampled_from([base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes]))
    text = encode(data).decode()
    if draw(st.booleans()):
        text = text.replace("=", "")
    for _ in range(draw(st.integers(0, 5))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(["\n", "\r\n", " ", "\t", "\f", "\v", "\n \n"])) + text[place:]
    head = draw(st.sampled_from(["", "data:image/png;base64,", "DATA:;Base64,", " data:image/webp;charset=x;base64,"]))
    if head and draw(st.booleans()):
        text = quote(text, safe="")
    return head + text


@settings(deadline=None)  # the first one compiles
@given(st.binary(max_size=200))
def test_what_was_encoded_comes_back(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data


@settings(deadline=None)
@given(st.data(), st.binary(max_size=200))
def test_every_spelling_means_the_same(drawn: st.DataObject, data: bytes) -> None:
    assert decode_base64(drawn.draw(spellings(data))) == data


@settings(deadline=None)
@given(st.text("AZaz09+/=-_ \nü\u20ac!", max_size=24))
def test_text_is_refused_where_the_standard_library_refuses_its_digits(text: str) -> None:
    assert decode_base64(text) == loosely(text)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 400, 4001, 4002, 4003])
@pytest.mark.parametrize("wrong", ["=", "!", ".", ",", "\0", "\x7f", "\\n", "ü"])
def test_a_character_that_is_no_digit_is_found_anywhere(place: int, wrong: str) -> None:
    text = base64.b64encode(bytes(range(256)) * 12).decode()
    assert decode_base64(text[:place] + wrong + text[place + 1 :]) is None


@pytest.mark.parametrize("text", ["A", "AAAAA", "data:image/png,AAAA", "https://host/AAAA", "{}", "data:;base64"])
def test_what_is_no_base64_is_none(text: str) -> None:
    assert decode_base64(text) is None


@pytest.mark.parametrize("text", ["", "=", "====", " \n", "data:;base64,"])
def test_nothing_is_nothing(text: str) -> None:
    assert decode_base64(text) == b""


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
