"""The fenced blocks of the pages: where they stand, and what output they promise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("deploy/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block, and the text block right behind it, which is what running it prints."""

    page: str
    language: str
    text: str
    output: str | None = None

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]


def blocks_of(page: Path) -> list[Block]:
    """Return a page's blocks; outputs are part of what they are the output of."""
    text, blocks, last_end = page.read_text(), [], 0
    name = page.relative_to(ROOT).as_posix()
    for found in FENCE.finditer(text):
        follows = blocks and not text[last_end : found.start()].strip()
        if found[1] == "text" and follows and blocks[-1].language in {"sh", "python"}:
            last = blocks.pop()
            blocks.append(Block(page=name, language=last.language, text=last.text, output=found[2]))
        else:
            blocks.append(Block(page=name, language=found[1], text=found[2]))
        last_end = found.end()
    return blocks


def is_as_promised(printed: str, promised: str) -> bool:
    """Tell whether output is as a page says, but for the seconds that something took."""
    pattern = re.sub(r"\d+\\\.\d+\\ s\b", r"[0-9.]+\\ s", re.escape(promised.strip()))
    return re.fullmatch(pattern, printed.strip()) is not None
