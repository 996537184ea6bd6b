"""The emulators' own reader of multipart forms."""

from __future__ import annotations

import pytest

from uncrop.testing.multipart import MalformedForm, ReceivedPart, read_form

TYPE = "multipart/form-data; boundary=frontier"
HEAD = b'--frontier\r\nContent-Disposition: form-data; name="a"'


def test_fields_and_files_come_in_their_order() -> None:
    data = bytes(range(256)) + b"\r\n--frontie\r\n"
    body = (
        HEAD + b"\r\n\r\n-20\r\n"
        b'--frontier\r\nContent-Disposition: form-data; name="photo"; filename="a b.png"\r\n'
        b"content-TYPE: image/png\r\n\r\n" + data + b"\r\n--frontier--\r\n"
    )
    field, file = read_form(TYPE, body)
    assert (field.name, field.text, field.filename, field.media_type) == ("a", "-20", None, None)
    assert (file.name, file.data, file.filename, file.media_type) == ("photo", data, "a b.png", "image/png")


@pytest.mark.parametrize("value", ['multipart/form-data; boundary="frontier"', "Multipart/Form-Data;boundary=frontier"])
def test_the_boundary_is_found_however_it_is_written(value: str) -> None:
    assert read_form(value, HEAD + b"\r\n\r\n1\r\n--frontier--")[0].text == "1"


def test_a_form_may_be_empty_and_a_value_too() -> None:
    assert read_form(TYPE, b"--frontier--\r\n") == ()
    assert read_form(TYPE, HEAD + b"\r\n\r\n\r\n--frontier--\r\n")[0].text == ""


def test_what_is_no_utf8_is_replaced_in_the_text_alone() -> None:
    part = ReceivedPart(name="a", data=b"\xff!", filename=None, media_type=None)
    assert (part.text, part.data) == ("\ufffd!", b"\xff!")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", b"--frontier--\r\n"),
        ("application/json", b"{}"),
        ("multipart/form-data", b"--frontier--\r\n"),
        (TYPE, b""),
        (TYPE, b"a=1"),
        (TYPE, b"preamble\r\n--frontier--\r\n"),
        (TYPE, HEAD + b"\r\n\r\n1\r\n"),
        (TYPE, HEAD + b"\r\n\r\n1\r\n--frontier"),
        (TYPE, HEAD + b"\r\n\r\n1\r\n--frontier-"),
        (TYPE, HEAD + b"\r\n--frontier--\r\n"),
        (TYPE, b"--frontier\r\nContent-Disposition: form-data\r\n\r\n1\r\n--frontier--\r\n"),
        (TYPE, b"--frontier\r\n\r\n1\r\n--frontier--\r\n"),
    ],
)
def test_what_is_no_whole_form_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(MalformedForm):
        read_form(content_type, body)
