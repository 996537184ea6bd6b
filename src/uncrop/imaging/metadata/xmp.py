"""Who made the photo and what may be done with it, taken out of an XMP packet into a new, small one.

The packet is parsed with defusedxml and never copied: only the properties in ``KEPT`` are read, as text, and written
again. Any doubt drops them all. Structure: ISO 16684-1; names: IPTC Photo Metadata Standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from uncrop.imaging.limits import MAX_TEXT_BYTES, MAX_XMP_BYTES, MAX_XMP_MARKUP

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from uncrop.imaging.metadata.iptc import IptcFacts

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
}
# Property and the RDF container that its values stand in; "" is plain text.
KEPT = (
    ("dc:creator", "Seq"),
    ("dc:rights", "Alt"),
    ("photoshop:Credit", ""),
    ("photoshop:Source", ""),
    ("xmpRights:Marked", ""),
    ("xmpRights:Owner", "Bag"),
    ("xmpRights:UsageTerms", "Alt"),
    ("xmpRights:WebStatement", ""),
)
MAX_ITEMS = 50
# Writers use one description, or one for every namespace.
MAX_DESCRIPTIONS = 100
BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
END = '<?xpacket end="r"?>'


@dataclass(frozen=True, slots=True)
class _Item:
    text: str
    language: str


def kept_xmp(packet: bytes | None) -> bytes | None:
    """Return a packet with the kept properties alone, or ``None`` when there are none or the packet is doubtful."""
    found = _read(packet)
    return _packet(found) if found else None


def with_iptc(packet: bytes | None, facts: IptcFacts) -> bytes | None:
    """Return a packet that was kept with what IPTC's older form tells beside it; the packet's own properties win."""
    told = {
        "dc:creator": facts.creators,
        "dc:rights": facts.copyright,
        "photoshop:Credit": facts.credit,
        "photoshop:Source": facts.source,
    }
    added = {name: [_Item(text, "x-default") for text in texts] for name, texts in told.items() if texts}
    return _packet({**added, **_read(packet)}) if added else packet


def _read(packet: bytes | None) -> dict[str, list[_Item]]:
    if packet is None or len(packet) > MAX_XMP_BYTES or packet.count(b"<") + packet.count(b"=") > MAX_XMP_MARKUP:
        return {}
    try:
        root = fromstring(packet.strip(b"\0 \t\r\n"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return {}
    descriptions = list(islice(root.iter(f"{{{RDF}}}Description"), MAX_DESCRIPTIONS))
    return {name: items for name, container in KEPT if (items := _find(descriptions, name, container))}


def _find(descriptions: list[Element], name: str, container: str) -> list[_Item]:
    """Collect the property's values from all descriptions: as attribute, as text, or in its container."""
    prefix, _, local = name.partition(":")
    full = f"{{{NAMESPACES[prefix]}}}{local}"
    items: list[_Item] = []
    for description in descriptions:
        items.append(_Item(description.get(full, ""), ""))
        for element in description.findall(full):
            values = element.findall(f"{{{RDF}}}{container}/{{{RDF}}}li") if container else [element]
            items += [_Item((value.text or "").strip(), value.get(LANGUAGE, "x-default")) for value in values]
    kept = [item for item in items if item.text and len(item.text.encode()) <= MAX_TEXT_BYTES]
    return kept[: MAX_ITEMS if container else 1]


def _packet(found: dict[str, list[_Item]]) -> bytes:
    containers = dict(KEPT)
    names = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in NAMESPACES.items())
    body = "".join(f"<{name}>{_values(items, containers[name])}</{name}>" for name, items in found.items())
    return (
        f'{BEGIN}<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about=""{names}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>{END}'
    ).encode()


def _values(items: list[_Item], container: str) -> str:
    if not container:
        return escape(items[0].text)
    lines = "".join(
        f"<rdf:li xml:lang={quoteattr(item.language or 'x-default')}>{escape(item.text)}</rdf:li>"
        if container == "Alt"
        else f"<rdf:li>{escape(item.text)}</rdf:li>"
        for item in items
    )
    return f"<rdf:{container}>{lines}</rdf:{container}>"
