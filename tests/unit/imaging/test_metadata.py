"""What of EXIF, XMP and profiles is kept, and how doubtful blocks end."""

from __future__ import annotations

import io
import struct

import pytest
from fixtures_imaging import icc
from PIL import Image

from uncrop.imaging.metadata.exif import ExifFacts, build_exif, read_exif
from uncrop.imaging.metadata.icc import icc_channels
from uncrop.imaging.metadata.kept import kept_metadata
from uncrop.imaging.metadata.xmp import kept_xmp
from uncrop.model import Metadata
from uncrop.testing import pictures

FACTS = ExifFacts(orientation=6, artist=b"Ada Lovelace", copyright=b"(c)")


# --- EXIF ------------------------------------------------------------------------------------------------------------


def tiff(order: str, *entries: tuple[int, int, int, bytes], count: int | None = None, behind: bytes = b"") -> bytes:
    """Make a block with one directory; ``behind`` lies at offset 10 + 12 * entries + 4."""
    directory = struct.pack(order + "H", len(entries) if count is None else count)
    directory += b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", 8) + directory + b"\0\0\0\0" + behind


def test_facts_survive() -> None:
    block = build_exif(FACTS)
    assert block is not None
    assert read_exif(block) == FACTS
    assert read_exif(b"Exif\0\0" + block) == FACTS
    assert build_exif(ExifFacts()) is None
    assert read_exif(None) == ExifFacts()


def test_another_reader_reads_what_is_written() -> None:
    data = pictures.photo_file("JPEG", 8, 8, metadata=Metadata(exif=build_exif(FACTS)))
    exif = Image.open(io.BytesIO(data)).getexif()
    assert dict(exif) == {0x0112: 6, 0x013B: "Ada Lovelace", 0x8298: "(c)"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    short = struct.pack(order + "H", 8) + b"\0\0"
    place = struct.pack(order + "I", 10 + 24 + 4)
    block = tiff(order, (0x0112, 3, 1, short), (0x013B, 2, 9, place), behind=b"Ada B. C\0")
    assert read_exif(block) == ExifFacts(orientation=8, artist=b"Ada B. C")


def test_the_first_of_two_orientations_counts() -> None:
    assert read_exif(tiff(">", (0x0112, 3, 1, b"\0\x06\0\0"), (0x0112, 3, 1, b"\0\x03\0\0"))).orientation == 6


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II*\0",
        b"JUNK" + b"\0" * 20,
        tiff(">", count=5),  # more entries than there are
        struct.pack(">4sI", b"MM\0*", 1 << 31),  # a directory behind the end
        tiff(">", (0x0112, 2, 1, b"\0\x06\0\0")),  # an orientation in letters
        tiff(">", (0x0112, 3, 2, b"\0\x06\0\x06")),  # two of them
        tiff(">", (0x0112, 3, 1, b"\0\x09\0\0")),
        tiff(">", (0x013B, 2, 99, b"\0\0\0\x20")),  # a text that is cut off
        tiff(">", (0x013B, 2, 5000, b"\0\0\0\x20"), behind=b"x" * 6000),  # a novel
        tiff(">", (0x013B, 3, 1, b"A\0\0\0")),  # a name in numbers
        b"MM\0*" + b"\0" * (1 << 20),
    ],
)
def test_doubtful_exif_says_nothing(block: bytes) -> None:
    assert read_exif(block) == ExifFacts()


def test_short_texts_and_long_orientations() -> None:
    assert read_exif(tiff(">", (0x8298, 2, 4, b"abc\0"))).copyright == b"abc"
    assert read_exif(tiff(">", (0x8298, 129, 4, b"abc\0"))).copyright == b"abc"
    assert read_exif(tiff("<", (0x0112, 4, 1, b"\x03\0\0\0"))).orientation == 3


def test_a_directory_without_end_is_read_in_part() -> None:
    entries = [(tag, 3, 1, b"\0\0\0\0") for tag in range(0x9000, 0x9000 + 1200)]
    assert read_exif(tiff(">", (0x0112, 3, 1, b"\0\x06\0\0"), *entries)).orientation == 6
    assert read_exif(tiff(">", *entries, (0x0112, 3, 1, b"\0\x06\0\0"))).orientation == 1


# --- XMP -------------------------------------------------------------------------------------------------------------


def packet(properties: str, attributes: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" {attributes}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def rebuilt(body: str) -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        ' xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/">'
        f'{body}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def test_rights_are_kept_and_the_rest_is_not() -> None:
    source = packet(
        "<dc:creator><rdf:Seq><rdf:li>Ada &amp; Bé</rdf:li><rdf:li> Carl </rdf:li></rdf:Seq></dc:creator>"
        '<dc:rights><rdf:Alt><rdf:li xml:lang="de">alle</rdf:li></rdf:Alt></dc:rights>'
        "<exif:GPSLatitude>52,30N</exif:GPSLatitude><dc:subject><rdf:Bag><rdf:li>cat</rdf:li></rdf:Bag></dc:subject>"
        "<xmpRights:Owner><rdf:Bag><rdf:li>Ada</rdf:li></rdf:Bag></xmpRights:Owner>",
        'photoshop:Credit="The &lt;Times&gt;" tiff:Orientation="6" xmpRights:Marked="True"',
    )
    assert kept_xmp(source) == rebuilt(
        "<dc:creator><rdf:Seq><rdf:li>Ada &amp; Bé</rdf:li><rdf:li>Carl</rdf:li></rdf:Seq></dc:creator>"
        '<dc:rights><rdf:Alt><rdf:li xml:lang="de">alle</rdf:li></rdf:Alt></dc:rights>'
        "<photoshop:Credit>The &lt;Times&gt;</photoshop:Credit><xmpRights:Marked>True</xmpRights:Marked>"
        "<xmpRights:Owner><rdf:Bag><rdf:li>Ada</rdf:li></rdf:Bag></xmpRights:Owner>"
    )


def test_a_rebuilt_packet_is_kept_as_it_is() -> None:
    body = '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c)</rdf:li></rdf:Alt></dc:rights>'
    assert kept_xmp(rebuilt(body)) == rebuilt(body)
    assert kept_xmp(rebuilt(body) + b"\0" * 100) == rebuilt(body)


def test_values_are_bounded() -> None:
    names = "".join(f"<rdf:li>{number}</rdf:li>" for number in range(80))
    novel = f"<rdf:li>{'ü' * 2049}</rdf:li>"
    kept = kept_xmp(packet(f"<dc:creator><rdf:Seq>{novel}{names}</rdf:Seq></dc:creator>"))
    assert kept is not None
    assert kept.count(b"<rdf:li>") == 50
    assert b"<rdf:li>0</rdf:li>" in kept


def test_descriptions_are_bounded() -> None:
    empty = '<rdf:Description rdf:about=""/>'
    credit = '<rdf:Description rdf:about="" photoshop:Credit="Ada"/>'
    source = packet("").decode().replace("</rdf:RDF>", "{}</rdf:RDF>")
    assert b"Ada" in (kept_xmp(source.format(empty * 98 + _declared(credit)).encode()) or b"")
    assert kept_xmp(source.format(empty * 99 + _declared(credit)).encode()) is None


def _declared(description: str) -> str:
    return description.replace(" rdf:about", ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" rdf:about')


BILLION_LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    "<x>&c;</x>"
)


@pytest.mark.parametrize(
    "doubtful",
    [
        None,
        b"",
        b"no xml",
        packet("<dc:rights>")[:-40],
        packet("<exif:GPSLatitude>52,30N</exif:GPSLatitude>"),
        packet("<photoshop:Credit> </photoshop:Credit>"),
        packet("<dc:rights>text outside of its container</dc:rights>"),
        BILLION_LAUGHS.encode(),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + packet("<photoshop:Credit>Ada</photoshop:Credit>"),
        b'<?xml version="1.0" encoding="klingon"?><x/>',
        packet("<photoshop:Credit>Ada</photoshop:Credit>").ljust((1 << 20) + 1),
        b"<x>" * 200_000,
    ],
)
def test_doubtful_packets_are_dropped(doubtful: bytes | None) -> None:
    assert kept_xmp(doubtful) is None


# --- profiles --------------------------------------------------------------------------------------------------------


def test_channels_of_a_profile() -> None:
    assert [icc_channels(icc(space)) for space in (b"GRAY", b"RGB ", b"CMYK", b"Lab ")] == [1, 3, 4, None]


@pytest.mark.parametrize(
    "profile",
    [b"", icc()[:-1], icc() + b"\0", icc()[:36] + b"acps" + icc()[40:], icc()[:100], icc(size=(4 << 20) + 1)],
)
def test_unsound_profiles(profile: bytes) -> None:
    assert icc_channels(profile) is None


def test_kept_metadata_never_has_an_orientation() -> None:
    kept = kept_metadata(icc=icc(), exif=FACTS, xmp=None, colours=3)
    assert kept == Metadata(icc=icc(), exif=build_exif(ExifFacts(artist=FACTS.artist, copyright=FACTS.copyright)))
    assert kept_metadata(icc=icc(), exif=ExifFacts(orientation=6), xmp=b"", colours=1) == Metadata()
    assert kept_metadata(icc=None, exif=ExifFacts(), xmp=None, colours=3) == Metadata()
