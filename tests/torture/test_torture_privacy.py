"""What photos say about people and places, looked for by ExifTool in every answer and in all that was sent on."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from PIL import ExifTags, Image, PngImagePlugin
from torture_http import Poster, posting
from torture_verdict import check_none

from uncrop.testing import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures_torture import Cases

SECRET = "CANARY-private"
# Groups of ExifTool in which nothing may be left, and words that may stand in no tag's name.
GROUPS = ("GPS", "MakerNotes", "IFD1", "XMP-exif", "XMP-xmpMM", "Photoshop")
WORDS = ("GPS", "Serial", "Thumbnail", "LensModel", "OwnerName", "CameraOwner", "UserComment")
XMP = (
    "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    "<rdf:Description xmlns:exif='http://ns.adobe.com/exif/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/' "
    f"exif:GPSLatitude='1,2.3N' exif:UserComment='{SECRET}'><dc:description><rdf:Alt>"
    f"<rdf:li xml:lang='x-default'>{SECRET}</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
).encode()


@pytest.fixture(scope="module")
def poster(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Poster]:
    with posting(tmp_path_factory.mktemp("privacy"), kernels) as started:
        yield started


def _telling_exif() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.ImageDescription] = SECRET
    exif[ExifTags.Base.HostComputer] = SECRET
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (1.0, 2.0, 3.0), 3: "E", 4: (4.0, 5.0, 6.0)})
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.MakerNote: SECRET.encode(),
            ExifTags.Base.UserComment: b"ASCII\0\0\0" + SECRET.encode(),
            ExifTags.Base.BodySerialNumber: SECRET,
            ExifTags.Base.LensModel: SECRET,
            ExifTags.Base.LensSerialNumber: SECRET,
            ExifTags.Base.CameraOwnerName: SECRET,
        }
    )
    return exif.tobytes()


def telling_photos() -> dict[str, bytes]:
    """Make photos that tell everything that their format has a place for."""
    image = Image.fromarray(pictures.photo(40, 30))
    text = PngImagePlugin.PngInfo()
    for key in ("Comment", "Description", "Author", "Software"):
        text.add_text(key, SECRET)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    files = {}
    for image_format, options in (
        ("JPEG", {"comment": SECRET.encode(), "xmp": XMP}),
        ("PNG", {"pnginfo": text}),
        ("WEBP", {"xmp": XMP}),
        ("WEBP lossless", {"xmp": XMP, "lossless": True}),
    ):
        file = io.BytesIO()
        image.save(file, image_format.split()[0], exif=_telling_exif(), **options)
        files[image_format] = file.getvalue()
    return files


def _told(data: bytes) -> dict[str, str]:
    """Return every tag that ExifTool finds, by group and name."""
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.skip("ExifTool is not installed; on Debian: apt-get install libimage-exiftool-perl")
    command = [tool, "-a", "-G1", "-s", "-j", "-ee", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
    (found,) = json.loads(done.stdout)
    return found


def _leaks(data: bytes) -> list[str]:
    leaks = [
        name
        for name in _told(data)
        if name.split(":")[0] in GROUPS or any(word in name.split(":")[-1] for word in WORDS)
    ]
    return [*leaks, SECRET] if SECRET.encode() in data else leaks


def test_the_photos_tell_what_must_not_be_told() -> None:
    """The control: what is looked for is found in the photos themselves."""
    for name, data in telling_photos().items():
        assert {"GPS:GPSLatitude", "ExifIFD:SerialNumber"} <= set(_told(data)), name
        assert SECRET in _leaks(data)


def test_nothing_private_is_in_an_answer_or_is_sent_on(poster: Poster, cases: Cases) -> None:
    misses, ran = [], 0
    for name, data in telling_photos().items():
        for written in ("", "png", "webp") if cases.full else ("",):
            ran += 1
            response, sent = poster.post_and_see(data, **({"output_format": written} if written else {}))
            assert response.status_code == 200, response.text
            for each in (response.content, *(part for part in sent if len(part) > 100)):
                misses += [f"{name} as {written or 'usual'}: {leak}" for leak in _leaks(each)]
    cases.ran(ran)
    check_none(misses)


@pytest.mark.corpus
def test_nothing_private_is_in_answers_to_photos_of_cameras(
    poster: Poster, corpus: dict[tuple[str, str], bytes], more_files: dict[tuple[str, str], bytes], cases: Cases
) -> None:
    photos = [*corpus.items(), *more_files.items()]
    told = [(name, data) for name, data in photos if b"Exif\0\0" in data[:70_000] or b"http://ns.adobe.com/xap" in data]
    misses, ran = [], 0
    for name, data in cases.some(told, 2):
        response, sent = poster.post_and_see(data)
        if response.status_code == 200:
            ran += 1
            for each in (response.content, *(part for part in sent if len(part) > 100)):
                misses += [f"{name}: {leak}" for leak in _leaks(each)]
    cases.ran(ran)
    check_none(misses)
