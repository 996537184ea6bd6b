"""Loaded by schemathesis: real files for the fields that are files, and forms that one provider would take.

Of random bytes nothing could be learned but that they are no image. Forms that were made wrong on purpose stay wrong,
and every other legal one stays as it was generated.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import strategies as st

from fixtures_server import ORGANIZATION
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png

if TYPE_CHECKING:
    from schemathesis import Case

FILES = [photo_png(32, 24), photo_jpeg(40, 30), mask_png(32, 24), b"junk"]
LOCAL = ("image_file", "seed", "quality", "confidence_map")
TURN = cycle([True, False])

schemathesis.openapi.format("binary", st.sampled_from(FILES))


@schemathesis.hook
def before_call(_context: Any, case: Case, _kwargs: dict[str, Any]) -> None:
    legal = case.meta is not None and case.meta.generation.mode.is_positive
    if legal and isinstance(case.body, dict) and next(TURN):
        kept = {name: value for name, value in case.body.items() if name in LOCAL}
        case.body = {**kept, "provider": "local", "organization_id": ORGANIZATION, "extend_left": 9}
