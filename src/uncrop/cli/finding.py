"""One line of the report of `uncrop doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "off", "bad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what to do about it."""

    what: str
    state: State
    says: str
    todo: str = ""
