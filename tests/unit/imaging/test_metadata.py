"""What of EXIF, XMP and profiles is kept, and how doubtful blocks end."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import pytest
from fixtures_imaging import cmyk_profile, icc
from PIL import Image

from uncrop.imaging import codec
from uncrop.imaging.header import read_header
from uncrop.imaging.metadata import xmp
from uncrop.imaging.metadata.exif import ExifFacts, build_exif, read_exif
from uncrop.imaging.metadata.icc import icc_channels, sound_icc
from uncrop.imaging.metadata.iptc import IptcFacts, build_iptc, read_iptc
from uncrop.imaging.metadata.kept import fitted, kept_exif, upright_density
from uncrop.imaging.metadata.xmp import kept_xmp, with_iptc
from uncrop.model import Density, Metadata
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


# A megabyte of each kind of markup, which a PNG holds in one to five kilobytes; of no kind is it parsed.
RDF_OF = "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>{}</rdf:RDF>"
MUCH_MARKUP = {
    "elements": RDF_OF.format("<a/>" * 200_000),
    "descriptions": RDF_OF.format("<rdf:Description/>" * 50_000),
    "nested": "<a>" * 300_000,
    "attributes": RDF_OF.format("<a " + " ".join(f"a{number}=''" for number in range(60_000)) + "/>"),
    "instructions": RDF_OF.format("<?a b?>" * 100_000),
}


@pytest.mark.parametrize("kind", MUCH_MARKUP)
def test_markup_is_bounded_before_it_is_parsed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed")

    assert kept_xmp(packet("<photoshop:Credit>Ada</photoshop:Credit>")) is not None
    monkeypatch.setattr(xmp, "fromstring", parse)
    assert kept_xmp(MUCH_MARKUP[kind].encode()) is None
    assert kept_xmp(MUCH_MARKUP[kind].encode("utf-16")) is None


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
    [b"", icc()[:-1], icc()[:36] + b"acps" + icc()[40:], icc()[:100], icc(size=(4 << 20) + 1)],
)
def test_unsound_profiles(profile: bytes) -> None:
    assert icc_channels(profile) is None


def test_what_follows_a_profile_is_cut_off() -> None:
    assert sound_icc(icc() + b"padding", 3) == icc()
    assert sound_icc(icc(), 1, 4) is None
    assert sound_icc(None, 3) is None
    assert sound_icc(b"\0\0\0\x05" + icc()[4:], 3) == b"\0\0\0\x05" + icc()[4:]


def test_a_profile_that_declares_more_than_it_has_counts_if_all_tags_are_there() -> None:
    profile = cmyk_profile()
    longer = struct.pack(">I", len(profile) + 7) + profile[4:]
    assert sound_icc(longer, 4) == longer
    assert sound_icc(longer[:-20], 4) is None
    assert sound_icc(struct.pack(">I", 1 << 30) + profile[4:128] + b"\xff" * 4, 4) is None


def test_what_is_kept_of_exif() -> None:
    everything = ExifFacts(
        orientation=6,
        artist=b"Ada",
        copyright=b"(c)",
        make=b"Maker",
        model=b"M1",
        taken=b"2024:05:06 07:08:09",
        taken_offset=b"+02:00",
        adobe_rgb=True,
        density=Density(x=300.0, y=150.0),
    )
    block = build_exif(everything)
    assert read_exif(block) == everything
    assert read_exif(kept_exif(everything)) == replace(everything, orientation=1, density=None)
    assert kept_exif(ExifFacts(orientation=6, density=Density(x=72.0, y=72.0))) is None
    shown = Image.open(io.BytesIO(pictures.photo_file("JPEG", 8, 8, metadata=Metadata(exif=block)))).getexif()
    assert shown.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
    assert shown.get_ifd(0xA005)[1] == "R03"
    assert (shown[0x0110], shown[0x011A], shown[0x0128]) == ("M1", 300, 2)


@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_below_the_first(order: str) -> None:
    def number(value: int) -> bytes:
        return struct.pack(order + "I", value)

    def short(value: int) -> bytes:
        return struct.pack(order + "H", value) + b"\0\0"

    # The first directory ends at 26, that of the exposure at 56, that of interoperability at 74.
    exposure = struct.pack(order + "H", 2)
    for tag, kind, place in ((0xA001, 3, short(0xFFFF)), (0xA005, 4, number(56))):
        exposure += struct.pack(order + "HHI", tag, kind, 1) + place
    interoperability = struct.pack(order + "HHHI", 1, 1, 2, 4) + b"R03\0" + b"\0" * 4
    behind = exposure + b"\0" * 4 + interoperability
    block = tiff(order, (0x8769, 4, 1, number(26)), behind=behind)
    assert read_exif(block) == ExifFacts(adobe_rgb=True)
    assert not read_exif(block.replace(b"R03", b"R98")).adobe_rgb
    assert not read_exif(block.replace(short(0xFFFF), short(1))).adobe_rgb
    assert read_exif(block[:60]) == ExifFacts()
    # A pointer to its own directory leads nowhere but there.
    assert read_exif(block.replace(number(56), number(26))) == ExifFacts()


@pytest.mark.parametrize(
    "facts",
    [
        ExifFacts(taken=b"yesterday, in the garden"),
        ExifFacts(taken_offset=b"here"),
        ExifFacts(density=Density(x=0.0, y=72.0)),
    ],
)
def test_what_has_no_meaning_is_not_kept(facts: ExifFacts) -> None:
    assert read_exif(build_exif(facts)) == ExifFacts()


def test_density_of_centimetres_and_of_aspects() -> None:
    block = build_exif(ExifFacts(density=Density(x=100.0, y=100.0)))
    assert block is not None
    centimetres = block.replace(struct.pack(">HHIH", 0x0128, 3, 1, 2), struct.pack(">HHIH", 0x0128, 3, 1, 3))
    assert read_exif(centimetres).density == Density(x=254.0, y=254.0)
    aspect = Density(x=2.0, y=1.0, physical=False)
    assert read_exif(build_exif(ExifFacts(density=aspect))).density == aspect


def test_density_is_that_of_the_upright_picture() -> None:
    lying = ExifFacts(orientation=6, density=Density(x=300.0, y=150.0))
    assert upright_density(None, lying) == Density(x=150.0, y=300.0)
    assert upright_density(Density(x=72.0, y=72.0), ExifFacts()) == Density(x=72.0, y=72.0)
    assert upright_density(None, ExifFacts()) is None


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("density", [Density(x=300.0, y=300.0), Density(x=72.0, y=144.0), Density(x=118.11, y=118.11)])
def test_density_survives_between_all_formats(source: str, target: str, density: Density) -> None:
    data = pictures.photo_file(source, 8, 8, metadata=Metadata(density=density))
    written = codec.encode(pictures.photo(8, 8), target, metadata=read_header(data).metadata)
    found = read_header(written).metadata.density
    assert found is not None
    assert (found.x, found.y) == pytest.approx((density.x, density.y), rel=0.002)
    shown = Image.open(io.BytesIO(written))
    if target != "WEBP":
        assert tuple(map(float, shown.info["dpi"])) == pytest.approx((density.x, density.y), rel=0.002)


def test_an_aspect_alone_is_no_density_on_paper() -> None:
    wide = Density(x=2.0, y=1.0, physical=False)
    for image_format in ("JPEG", "PNG", "WEBP"):
        data = pictures.photo_file(image_format, 8, 8, metadata=Metadata(density=wide))
        assert read_header(data).metadata.density == wide
    square = Density(x=1.0, y=1.0, physical=False)
    assert read_header(pictures.photo_file("PNG", 8, 8, metadata=Metadata(density=square))).metadata.density is None


# --- IPTC ------------------------------------------------------------------------------------------------------------


def resource(block: bytes, number: int = 0x0404, name: bytes = b"") -> bytes:
    padded = (bytes((len(name),)) + name).ljust((len(name) + 2) // 2 * 2, b"\0")
    return (
        b"8BIM" + struct.pack(">H", number) + padded + struct.pack(">I", len(block)) + block + b"\0" * (len(block) % 2)
    )


def data_set(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


IPTC = IptcFacts(creators=("Ada", "Bé"), credit=("Agency",), source=("Paper",), copyright=("(c) Ada",))


def test_iptc_facts_survive() -> None:
    assert read_iptc(build_iptc(IPTC)) == IPTC
    assert build_iptc(IptcFacts()) is None
    assert read_iptc(None) == IptcFacts()


def test_iptc_among_other_resources_and_data() -> None:
    block = (
        data_set(2, 25, b"keyword")
        + data_set(2, 80, b"Zo\xeb")
        + data_set(2, 116, b"(c) 1")
        + data_set(2, 116, b"(c) 2")
    )
    data = resource(b"x" * 7, 0x03ED, b"name") + resource(block)
    assert read_iptc(data) == IptcFacts(creators=("Zo\xeb",), copyright=("(c) 1",))
    utf8 = data_set(1, 90, b"\x1b%G") + data_set(2, 80, "Zoë".encode())
    assert read_iptc(resource(utf8)).creators == ("Zoë",)


@pytest.mark.parametrize(
    "doubtful",
    [
        b"",
        b"8BIM",
        b"8BIM\4\4\xff",
        resource(b"\x1c\2\x50\xff\xff" + b"x" * 9),
        resource(b"\x1c\2\x50\0\x20abc"),
        resource(b"\x1d\2\x50\0\1a"),
        resource(data_set(2, 80, b"x" * 4097)),
        resource(data_set(2, 80, b"\1\2\3")),
        resource(data_set(2, 80, b"Ada"), 0x0405),
        resource(data_set(2, 25, b"k") * 2000 + data_set(2, 80, b"Ada")),
    ],
)
def test_doubtful_iptc_says_nothing(doubtful: bytes) -> None:
    assert read_iptc(doubtful) == IptcFacts()


def test_iptc_goes_into_xmp_where_the_format_has_no_place_for_it() -> None:
    metadata = Metadata(iptc=build_iptc(IPTC))
    kept = pictures.photo_file("JPEG", 8, 8, metadata=metadata)
    assert read_header(kept).metadata == metadata
    for image_format in ("PNG", "WEBP"):
        xmp = read_header(codec.encode(pictures.photo(8, 8), image_format, metadata=metadata)).metadata.xmp or b""
        for text in ("Ada", "Bé", "Agency", "Paper", "(c) Ada"):
            assert text.encode() in xmp


def test_the_packets_own_properties_win() -> None:
    own = kept_xmp(packet("<photoshop:Credit>Own</photoshop:Credit>"))
    both = with_iptc(own, IPTC) or b""
    assert b"Own" in both
    assert b"Agency" not in both
    assert b"(c) Ada" in both
    assert with_iptc(own, IptcFacts()) == own


# --- in the form that a format holds it ------------------------------------------------------------------------------


def test_a_profile_is_written_where_it_fits() -> None:
    grey, colour = Metadata(icc=icc(b"GRAY")), Metadata(icc=icc())
    assert [fitted(grey, "PNG", channels=count).icc is not None for count in (1, 2, 3, 4)] == [True, True, False, False]
    assert [fitted(colour, "PNG", channels=count).icc is not None for count in (1, 2, 3, 4)] == [
        False,
        False,
        True,
        True,
    ]
    assert fitted(colour, "JPEG", channels=1).icc is not None  # as editors write them


def test_what_tells_the_colour_space_is_told_once() -> None:
    chunks = ((b"gAMA", b"\0\0\xb1\x8f"),)
    metadata = Metadata(icc=icc(), png_colour=chunks, told_by_exif=False)
    assert (fitted(metadata, "PNG", channels=3).icc, fitted(metadata, "PNG", channels=3).png_colour) == (None, chunks)
    assert (fitted(metadata, "JPEG", channels=3).icc, fitted(metadata, "JPEG", channels=3).png_colour) == (icc(), ())
    by_exif = Metadata(icc=icc(), exif=build_exif(ExifFacts(adobe_rgb=True)), told_by_exif=True)
    assert fitted(by_exif, "JPEG", channels=3).icc is None
    assert fitted(by_exif, "WEBP", channels=3).icc == icc()
