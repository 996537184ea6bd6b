"""Files decoded in processes of their own come out as they do here, and are refused as they are here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest

from fixtures_server import shared_decoder
from uncrop.errors import InvalidImage, InvalidMask, InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.answer import decode_answer
from uncrop.imaging.colour.profiles import ADOBE_CURVE, ADOBE_PRIMARIES, made
from uncrop.imaging.header import open_file
from uncrop.imaging.jpeg.kept import read_own
from uncrop.imaging.mask import decode_mask, open_mask
from uncrop.model import ImageFormat, Metadata, Rect
from uncrop.testing.pictures import mask_png, noise, photo, photo_jpeg, photo_png, rotated, truncated
from uncrop.workers.decoding.messages import MAX_TEXT, REFUSALS, Job, Limits, read_refusal, refusal_to_bytes

if TYPE_CHECKING:
    from uncrop.workers.decoding.sandboxed import SandboxedDecoder

WIDTH, HEIGHT = 67, 45
ADOBE = Metadata(icc=made(ADOBE_PRIMARIES, ADOBE_CURVE, 3))


def pixels(channels: int, bits: int = 8) -> Any:
    made_pixels = np.dstack([photo(WIDTH, HEIGHT), noise(WIDTH, HEIGHT)[:, :, :1]])[:, :, :channels]
    return np.ascontiguousarray(made_pixels.astype(np.uint16) * 257 if bits == 16 else made_pixels)


def as_pillow(mode: str, image_format: str, **options: Any) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels(3)).convert(mode).save(file, image_format, **options)
    return file.getvalue()


FILES = {
    **{
        f"png {channels} x {bits}": codec.encode(pixels(channels, bits), "PNG")
        for channels in (1, 2, 3, 4)
        for bits in (8, 16)
    },
    **{
        f"webp {channels} {kind}": codec.encode(pixels(channels), "WEBP", lossless=kind == "lossless")
        for channels in (3, 4)
        for kind in ("lossy", "lossless")
    },
    **{
        f"{kind} turned {number}": rotated(kind, number, width=WIDTH, height=HEIGHT)
        for kind in get_args(ImageFormat)
        for number in (3, 6)
    },
    "png palette": as_pillow("P", "PNG"),
    "png transparent palette": as_pillow("P", "PNG", transparency=3),
    "png bits": as_pillow("1", "PNG"),
    "png key": as_pillow("RGB", "PNG", transparency=(1, 2, 3)),
    "jpeg": photo_jpeg(WIDTH, HEIGHT),
    "jpeg grey": as_pillow("L", "JPEG"),
    "jpeg progressive": as_pillow("RGB", "JPEG", progressive=True),
    "jpeg cmyk": as_pillow("CMYK", "JPEG"),
    "jpeg profile": codec.encode(pixels(3), "JPEG", metadata=ADOBE),
}


@pytest.fixture(scope="module")
def decoder() -> SandboxedDecoder:
    return shared_decoder()


@pytest.mark.parametrize("name", FILES)
def test_pixels_are_the_codecs(decoder: SandboxedDecoder, name: str) -> None:
    file = open_file(FILES[name])
    for found, expected in zip(
        (decoder.photo(file), *decoder.answer(file, file.header)),
        (codec.decode(file), *decode_answer(file, file.header)),
        strict=True,
    ):
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            assert np.array_equal(found, expected)
            assert found.flags.c_contiguous
            assert found.flags.writeable


def test_an_answer_is_converted(decoder: SandboxedDecoder) -> None:
    file, plain = open_file(FILES["jpeg profile"]), open_file(FILES["jpeg"])
    colours, alpha = decoder.answer(file, plain.header)
    assert alpha is None
    assert np.array_equal(colours, decode_answer(file, plain.header)[0])
    assert not np.array_equal(colours, decoder.photo(file))


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("jpeg") and name != "jpeg cmyk"])
def test_coefficients_are_the_readers(decoder: SandboxedDecoder, name: str) -> None:
    file = open_file(FILES[name])
    found, expected = decoder.coefficients(file), read_own(file)
    assert found.grid == expected.grid
    assert found.levels.dtype == np.int16
    assert np.array_equal(found.levels, expected.levels)


def test_coefficients_are_refused_in_the_same_words(decoder: SandboxedDecoder) -> None:
    png = open_file(FILES["png bits"])
    broken = open_file(truncated(photo_jpeg(64, 64), 0.8, forged_end=True))
    for file in (png, broken):
        with pytest.raises(InvalidImage) as expected:
            read_own(file)
        with pytest.raises(InvalidImage) as found:
            decoder.coefficients(file)
        assert said(found.value) == said(expected.value)


def test_masks_are_the_codecs(decoder: SandboxedDecoder) -> None:
    file = open_mask(mask_png(WIDTH, HEIGHT, hole=Rect(x=3, y=4, width=20, height=9)), WIDTH, HEIGHT)
    found = decoder.mask(file)
    assert found.dtype == np.bool_
    assert np.array_equal(found, decode_mask(file))


@pytest.mark.parametrize(
    "make",
    [
        lambda: truncated(photo_png(64, 64), 0.5, forged_end=True),
        lambda: truncated(photo_jpeg(64, 64), 0.8, forged_end=True),
    ],
)
def test_a_broken_file_is_refused_in_the_same_words(decoder: SandboxedDecoder, make: Any) -> None:
    file = open_file(make())
    with pytest.raises(InvalidImage) as expected:
        codec.decode(file)
    with pytest.raises(InvalidImage) as found:
        decoder.photo(file)
    assert said(found.value) == said(expected.value)


def test_a_mask_is_refused_in_the_same_words(decoder: SandboxedDecoder) -> None:
    file = open_mask(mask_png(WIDTH, HEIGHT, hole=Rect(x=0, y=0, width=0, height=0)), WIDTH, HEIGHT)
    with pytest.raises(InvalidMask) as expected:
        decode_mask(file)
    with pytest.raises(InvalidMask) as found:
        decoder.mask(file)
    assert said(found.value) == said(expected.value)


def said(error: InvalidRequest) -> tuple[object, ...]:
    return type(error), error.message, error.system_message, error.details


@pytest.mark.parametrize(
    "reply", [b"", b"null", b"[1]", b"{}", b'{"kind": "InternalError"}', b'{"kind": 3}', b"\xff\xfe"]
)
def test_what_no_decoder_says_is_no_refusal(reply: bytes) -> None:
    assert read_refusal(reply) is None


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_comes_back(kind: str) -> None:
    error = REFUSALS[kind]("A sentence.", system_message="technical", details={"width": 3, "rule": "alpha"})
    found = read_refusal(refusal_to_bytes(error))
    assert found is not None
    assert said(found) == said(error)


def test_details_that_are_no_details_are_left_out() -> None:
    found = read_refusal(b'{"kind": "InvalidImage", "message": "A sentence.", "details": [1]}')
    assert isinstance(found, InvalidImage)
    assert (found.message, found.details) == ("A sentence.", None)


def test_a_decoder_cannot_say_much() -> None:
    long = REFUSALS["InvalidImage"](
        "x" * 9999, details={"nested": {"a": ["b" * 9999]}, **{str(at): at for at in range(99)}}
    )
    found = read_refusal(refusal_to_bytes(long))
    assert found is not None
    assert len(found.message) == MAX_TEXT
    assert len(found.details or {}) == 10
    assert all(len(str(value)) <= MAX_TEXT for value in (found.details or {}).values())


def test_a_job_comes_back() -> None:
    job = Job(work="mask", told=1, size=2, room=3, limits=Limits(address_space=4, cpu_s=5, wall_s=6.5))
    assert Job.from_bytes(job.to_bytes()) == job
