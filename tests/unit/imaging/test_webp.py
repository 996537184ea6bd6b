"""WebP: read and written through Pillow, its structure by us."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from fixtures_imaging import icc, opened, pillow
from PIL import Image

from uncrop.errors import ImageTooLarge, InvalidImage
from uncrop.imaging import codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.jpeg import pixels as jpeg_pixels
from uncrop.imaging.upload import upload_bytes
from uncrop.imaging.webp import layout as webp
from uncrop.imaging.webp.quality import estimate_quality
from uncrop.model import JpegFacts, Metadata
from uncrop.testing import pictures

LOSSY = pictures.photo_webp(40, 30)
LOSSLESS = pictures.photo_webp(40, 30, lossless=True)
EXTENDED = pictures.photo_file("WEBP", 40, 30, metadata=Metadata(icc=icc()))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(load)) + load + b"\0" * (len(load) % 2) for name, load in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def extent(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes((flags, 0, 0, 0)) + sides


PICTURE = (b"VP8 ", LOSSY[20 : 20 + struct.unpack_from("<I", LOSSY, 16)[0]])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_lossless_is_exact(channels: int, bits: int) -> None:
    pixels = pictures.photo(40, 30, channels=channels, bits=bits)
    data = codec.encode(pixels, "WEBP", lossless=True)
    header = read_header(data)
    assert (header.lossless, header.channels) == (True, 4 if channels in (2, 4) else 3)
    expected = pixels if bits == 8 else ((pixels.astype(int) + 128) // 257).astype(np.uint8)
    if channels < 3:
        expected = np.concatenate((expected[:, :, :1].repeat(3, axis=2), expected[:, :, 1:]), axis=2)
    assert np.array_equal(codec.decode(open_file(data)), expected)


def test_lossy_is_close() -> None:
    pixels = pictures.photo(200, 100)
    data = codec.encode(pixels, "WEBP")
    back = codec.decode(open_file(data))
    assert psnr(back, pixels) > 35
    assert np.array_equal(back, opened(data))


def test_alpha_that_the_header_announces_and_the_picture_lacks() -> None:
    data = riff(extent(40, 30, webp.ALPHA_FLAG), PICTURE)
    header = read_header(data)
    pixels = codec.decode(open_file(data))
    assert pixels.shape == (30, 40, header.channels)


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\x04\0\0\0WEBP",
        LOSSY[:12],
        LOSSY[:17],
        LOSSY[:-1],
        riff((b"ICCP", b"x"), PICTURE),  # begins with neither a picture nor an extended header
        riff(extent(40, 30)),  # no picture
        riff(extent(40, 30), PICTURE, PICTURE),
        riff(extent(41, 30), PICTURE),  # another size than the canvas
        riff((b"VP8X", b"\0" * 9), PICTURE),
        riff((b"VP8X", b""), PICTURE),
        riff((b"VP8 ", b"\0" * 9)),
        riff((b"VP8 ", PICTURE[1][:8])),
        riff((b"VP8 ", b"\x01" + PICTURE[1][1:])),  # no key frame
        riff((b"VP8 ", PICTURE[1][:6] + b"\0\0" + PICTURE[1][8:])),  # no width
        riff((b"VP8 ", PICTURE[1][:8] + b"\0\0" + PICTURE[1][10:])),  # no height
        riff((b"VP8L", b"\x2e\0\0\0\0")),
        riff((b"VP8L", b"\x2f\0\0\0\xe0")),  # a version of the future
        riff((b"VP8L", b"\x2f")),
        b"RIFF\xff\xff\xff\x7fWEBP" + LOSSY[12:],
        b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8 " + struct.pack("<I", 100) + PICTURE[1],  # a chunk behind the end
        riff(*((b"ABCD", b""),) * 20_001),
    ],
)
def test_broken_structure(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read_header(data)


def test_broken_picture_data() -> None:
    data = riff((b"VP8 ", PICTURE[1][:60] + b"\xff" * 20))
    with pytest.raises(InvalidImage) as caught:
        codec.decode(open_file(data))
    assert caught.value.system_message == "the WebP's picture data is corrupt or incomplete"


def test_a_plain_file_is_built_without_an_extended_header() -> None:
    assert webp.build([PICTURE], width=40, height=30, alpha=False) == LOSSY


def test_an_extended_file_has_the_flags_of_what_it_holds() -> None:
    data = webp.build([PICTURE], width=40, height=30, alpha=False, icc=b"p", exif=b"e", xmp=b"x")
    layout = webp.read_layout(data)
    assert [name for name, _, _ in layout.chunks] == [b"VP8X", b"ICCP", b"VP8 ", b"EXIF", b"XMP "]
    assert layout.payload(data, b"VP8X") == bytes((0x20 | 0x08 | 0x04, 0, 0, 0, 39, 0, 0, 29, 0, 0))
    assert layout.payload(data, b"ALPH") is None


def test_profile_of_an_extended_file() -> None:
    assert read_header(EXTENDED).metadata.icc == icc()
    assert read_header(LOSSLESS).metadata == Metadata()


# --- animations of one frame -----------------------------------------------------------------------------------------


def animation(
    *frames: tuple[int, int, bytes], alpha: bool = False, metadata: tuple[tuple[bytes, bytes], ...] = ()
) -> bytes:
    """Make an animation of 60 x 50 whose frames of 40 x 30 lie at places in pairs of pixels."""
    flags = webp.ANIMATION_FLAG | (webp.ALPHA_FLAG if alpha else 0)
    shown = [
        (
            b"ANMF",
            b"".join(number.to_bytes(3, "little") for number in (x, y, 39, 29, 100)) + b"\0" + picture[12:],
        )
        for x, y, picture in frames
    ]
    return riff(extent(60, 50, flags), (b"ANIM", b"\xff" * 4 + b"\0\0"), *shown, *metadata)


@pytest.mark.parametrize("picture", [LOSSY, LOSSLESS, pictures.photo_webp(40, 30, channels=4)])
def test_one_frame_lies_on_its_canvas(picture: bytes) -> None:
    data = animation((3, 5, picture), metadata=((b"ABCD", b"x"),))
    header = read_header(data)
    assert (header.width, header.height, header.channels, header.lossless) == (60, 50, 4, picture == LOSSLESS)
    pixels = codec.decode(open_file(data))
    inside = pixels[10:40, 6:46]
    assert np.array_equal(inside, codec.arrays.to_rgba8(codec.decode(open_file(picture))))
    pixels = pixels.copy()
    pixels[10:40, 6:46] = 0
    assert not pixels.any()


def test_one_frame_that_fills_its_canvas_is_sent_as_it_is() -> None:
    data = pictures.animated_webp(40, 30, frames=1)
    file = open_file(data)
    sent, _ = upload_bytes(file, codec.decode(file), formats=frozenset({"WEBP", "PNG"}))
    assert sent == LOSSY


def test_one_frame_on_a_larger_canvas_is_sent_whole() -> None:
    file = open_file(animation((0, 0, LOSSY)))
    pixels = codec.decode(file)
    sent, image_format = upload_bytes(file, pixels, formats=frozenset({"WEBP", "PNG"}))
    assert image_format == "PNG"
    assert np.array_equal(codec.decode(open_file(sent)), pixels)


def test_an_animation_without_a_frame_is_its_picture() -> None:
    data = riff(extent(40, 30, webp.ANIMATION_FLAG), PICTURE)
    assert np.array_equal(codec.decode(open_file(data)), codec.decode(open_file(LOSSY)))


@pytest.mark.parametrize(
    "data",
    [
        animation((11, 0, LOSSY)),  # beyond the canvas
        animation((0, 11, LOSSY)),
        animation((0, 0, pictures.photo_webp(41, 30))),  # another extent than the frame says
        animation((0, 0, LOSSY[:12])),  # no picture
        animation((0, 0, LOSSY[:-9])),
        riff(extent(60, 50, webp.ANIMATION_FLAG), (b"ANMF", b"\0" * 15)),
        riff(extent(60, 50, webp.ANIMATION_FLAG)),
    ],
)
def test_broken_frames(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read_header(data)


# --- quality ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [0, 4])
@pytest.mark.parametrize("quality", [0, 10, 50, 75, 80, 90, 95, 100])
def test_the_quality_is_told_from_the_quantiser(quality: int, method: int) -> None:
    header = read_header(pillow(pictures.photo(200, 100), "WEBP", quality=quality, method=method))
    # Better methods give the finest segment more than they were asked for.
    assert header.webp_quality is not None
    assert quality - 1 <= header.webp_quality <= (quality + 3 if method == 0 else 100)
    assert read_header(LOSSLESS).webp_quality is None


@pytest.mark.parametrize("quality", [None, 20, 95, 100])
def test_the_originals_quality_is_the_floor(quality: int | None) -> None:
    written = read_header(codec.encode(pictures.photo(200, 100), "WEBP", webp_quality=quality)).webp_quality
    assert written is not None
    assert written >= max(90, quality or 0)


def test_the_floor_holds_between_the_two_lossy_formats() -> None:
    pixels = pictures.photo(200, 100)
    fine = JpegFacts(quality=98, subsampling="420", progressive=False)
    as_webp = read_header(codec.encode(pixels, "WEBP", jpeg=fine)).webp_quality
    as_jpeg = read_header(codec.encode(pixels, "JPEG", webp_quality=97)).jpeg
    assert as_webp is not None
    assert as_webp >= 97
    assert as_jpeg == JpegFacts(quality=97, subsampling="444", progressive=False)


def test_a_fine_photo_is_not_worn() -> None:
    data = pillow(pictures.photo(200, 100), "WEBP", quality=100)
    file = open_file(data)
    pixels = codec.decode(file)
    again = codec.decode(open_file(codec.encode(pixels, "WEBP", webp_quality=file.header.webp_quality)))
    coarse = codec.decode(open_file(codec.encode(pixels, "WEBP")))
    assert psnr(again, pixels) > 45
    assert psnr(again, pixels) > psnr(coarse, pixels) + 1


def test_a_frame_header_that_is_cut_off_has_a_quality_all_the_same() -> None:
    assert 0 <= estimate_quality(b"") <= 100
    for length in range(10, 40):
        assert 0 <= estimate_quality(PICTURE[1][:length]) <= 100


# --- when the encoder fails ------------------------------------------------------------------------------------------


def refusing(monkeypatch: pytest.MonkeyPatch, failing: int, error: Exception) -> list[dict[str, object]]:
    """Let the first attempts fail; return what was asked for."""
    asked: list[dict[str, object]] = []
    save = Image.Image.save

    def attempt(self: Image.Image, file: object, image_format: str, **options: object) -> None:
        asked.append(options)
        if len(asked) <= failing:
            raise error
        save(self, file, image_format, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "save", attempt)
    return asked


@pytest.mark.parametrize("error", [ValueError("encoding error 6"), OSError("encoding error 1"), MemoryError()])
@pytest.mark.parametrize("failing", range(4))
def test_other_methods_are_tried(failing: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refusing(monkeypatch, failing, error)
    pixels = pictures.photo(40, 30)
    data = codec.encode(pixels, "WEBP")
    ways = [(each["method"], each["lossless"]) for each in asked]
    assert ways == [(0, False), (2, False), (4, False), (0, True)][: failing + 1]
    assert psnr(codec.decode(open_file(data)), pixels) > 35


@pytest.mark.parametrize(("lossless", "ways"), [(False, 4), (True, 1)])
def test_when_no_method_helps_another_format_is_advised(
    lossless: bool, ways: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = refusing(monkeypatch, 9, ValueError("encoding error 6"))
    with pytest.raises(ImageTooLarge) as caught:
        codec.encode(pictures.photo(40, 30), "WEBP", lossless=lossless)
    assert len(asked) == ways
    assert caught.value.message == "The picture cannot be written as WEBP; another output format may hold it"
    assert caught.value.details == {"width": 40, "height": 30, "format": "WEBP"}


def test_a_jpeg_that_turbojpeg_cannot_write_is_written_by_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise ValueError("no memory")

    monkeypatch.setattr(jpeg_pixels.simplejpeg, "encode_jpeg", fail)
    for channels in (1, 3):
        pixels = pictures.photo(40, 30, channels=channels)  # type: ignore[arg-type]
        assert psnr(codec.decode(open_file(codec.encode(pixels, "JPEG"))), pixels) > 33
    refusing(monkeypatch, 1, OSError("encoder error -2"))
    with pytest.raises(ImageTooLarge):
        codec.encode(pictures.photo(40, 30), "JPEG")
