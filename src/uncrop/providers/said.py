"""What an answer says of an error: its codes and texts, wherever they stand in it.

Makers, and the proxies before them, put an error under ``error``, ``errors``, ``detail``, ``message`` and other names,
as an object, a list or a text, into JSON, an event stream, plain text or a page, with any status. What is read here
stays in the providers: no error of ours repeats it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

from pydantic_core import from_json

from uncrop.providers.answers import BYTE_ORDER_MARK

# Names under which errors speak, without what is no letter or digit. Under these, texts count.
SPEAKING = frozenset(
    {
        *(
            "blockreason",
            "cause",
            "code",
            "description",
            "detail",
            "details",
            "error",
            "errorcode",
            "errordescription",
            "errormessage",
        ),
        *("errors", "errortype", "exception", "failure", "failurereason", "fault", "finishmessage", "finishreason"),
        *("finishreasons", "innererror", "message", "messages", "msg", "name", "reason", "reasons", "status"),
        *("statuscode", "statusmessage", "title", "type"),
    }
)
# Names under which errors may lie beside a result, whose texts are none of an error's.
HOLDING = frozenset(
    {"candidates", "data", "images", "output", "outputs", "promptfeedback", "response", "result", "results"}
)
# Under these names Azure tells by category what its filters found, with or without a code beside it.
FILTERS = frozenset({"contentfilterresult", "contentfilterresults", "promptfilterresults"})
FILTERED = "content_filter"
RETRY_AFTER = "retryafter"
NUMBERS = frozenset({"code", "errorcode", "status", "statuscode"})
MAX_DEPTH, MAX_TEXTS, MAX_CHARACTERS = 8, 64, 2000
MAX_TEXT_BYTES = 64 * 1024
_WORD_WITH_JOINTS = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Two ASCII characters of UTF-16, by which of their bytes are not zero.
_UTF_16_BY_ZEROS: Mapping[tuple[bool, ...], str] = {
    (True, False, True, False): "utf-16-le",
    (False, True, False, True): "utf-16-be",
}
_SPACE = re.compile(r"[\s_-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What was found.

    Attributes
    ----------
    codes
        Every text that may be a code, by ``plain``: whole short texts, and words with underscores in longer ones.
    words
        All texts in lower case, with one space in place of underscores, hyphens and line ends; a text a line.
    status
        An HTTP status that the body names.
    retry_after
        Seconds after which the body says that the call may be tried again.
    """

    codes: frozenset[str] = frozenset()
    words: str = ""
    status: int | None = None
    retry_after: float | None = None


def plain(code: str) -> str:
    """Return a code as it is compared: ``CONTENT_FILTERED``, ``contentFiltered`` and ``Content filtered`` are one."""
    return "".join(character for character in code.lower() if character.isalnum())


def read_said(body: bytes) -> Said:
    """Read an answer's body; nothing is found in a picture, and in what speaks of no error."""
    found = list(_limited(_of_body(body)))
    texts = [value for _, value in found if isinstance(value, str)]
    return Said(
        codes=frozenset(plain(code) for text in texts for code in (text, *_WORD_WITH_JOINTS.findall(text))),
        words="\n".join(_SPACE.sub(" ", text.lower()) for text in texts),
        status=next((int(value) for name, value in found if name in NUMBERS and _is_status(value)), None),
        retry_after=next((value for name, value in found if name == RETRY_AFTER and not isinstance(value, str)), None),
    )


def _limited(found: Iterator[tuple[str, str | float]]) -> Iterator[tuple[str, str | float]]:
    for _, (name, value) in zip(range(MAX_TEXTS), found, strict=False):
        yield name, value[:MAX_CHARACTERS] if isinstance(value, str) else value


def _of_body(body: bytes) -> Iterator[tuple[str, str | float]]:
    body = _in_utf_8(body)
    try:
        yield from _of_value(from_json(body.removeprefix(BYTE_ORDER_MARK)), "error", 0)
    except ValueError:  # no JSON, or nested without end
        yield from _of_text(body[:MAX_TEXT_BYTES])


def _in_utf_8(body: bytes) -> bytes:
    """Return a text of UTF-16 in UTF-8: with a mark, or begun with an ASCII character, as JSON and pages are."""
    encoding = "utf-16" if body.startswith(_UTF_16) else _UTF_16_BY_ZEROS.get(tuple(map(bool, body[:4])))
    if encoding is None:
        return body
    try:
        return body[: 2 * MAX_TEXT_BYTES].decode(encoding).encode()
    except UnicodeError:  # a picture, or cut within a character
        return body


def _of_value(value: object, name: str, depth: int) -> Iterator[tuple[str, str | float]]:
    """Give each text and number that stands under a name of ``SPEAKING``, with that name."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            known = plain(key)
            if known in FILTERS and _is_filtered(inner, depth + 1):
                yield "reason", FILTERED
            if known in SPEAKING or known == RETRY_AFTER or (known in HOLDING and isinstance(inner, Mapping | list)):
                yield from _of_value(inner, known, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _of_value(item, name, depth + 1)
    elif name not in HOLDING and isinstance(value, str | int | float) and not isinstance(value, bool):
        yield name, value


def _is_filtered(value: object, depth: int) -> bool:
    """Tell whether any of a filter's categories says that it filtered; what they found and let pass is no refusal."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, list):
        return any(_is_filtered(inner, depth + 1) for inner in value)
    if not isinstance(value, Mapping):
        return False
    return value.get("filtered") is True or any(_is_filtered(inner, depth + 1) for inner in value.values())


def _of_text(head: bytes) -> Iterator[tuple[str, str | float]]:
    """Read an event stream's data, a page or a plain text."""
    if b"\0" in head:  # a picture
        return
    text = head.decode(errors="replace")
    events = [line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:")]
    for event in events:
        try:
            yield from _of_value(from_json(event), "error", 0)
        except ValueError:
            continue
    if not events:
        yield "error", _without_tags(text) if "<" in text else text


def _without_tags(page: str) -> str:
    reader = _Page()
    reader.feed(page)
    return " ".join(reader.texts)


class _Page(HTMLParser):
    """Keeps the texts of a page, without its scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Leave out what follows a script's or style's beginning."""
        if tag in {"script", "style"}:
            self._hidden = tag

    def handle_endtag(self, tag: str) -> None:
        """Go on after its end."""
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        if not self._hidden and data.strip():
            self.texts.append(data.strip())


def _is_status(value: str | float) -> bool:
    text = str(value)
    return text.isascii() and text.isdigit() and len(text) == 3 and 400 <= int(text) < 600
