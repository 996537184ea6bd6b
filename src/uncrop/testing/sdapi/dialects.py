"""In what AUTOMATIC1111, Forge and SD.Next differ, as far as a client can see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from uncrop.testing.emulator import Refusal

DialectName: TypeAlias = Literal["a1111", "forge", "sdnext"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """One web UI.

    Attributes
    ----------
    word
        The body of a refusal.
    defaults
        Of fields that a request leaves out, where they differ.
    unknown_sampler, no_init_image
        The status of a request for a sampler that is unknown, and of one without a picture.
    interrupt_status
        Of the answer to an interrupt.
    names_tasks
        A request may name its task, and the page's own progress knows it.
    progress_is_open
        The progress wants no password.
    """

    word: Callable[[Refusal], dict[str, Any]]
    defaults: Mapping[str, Any]
    unknown_sampler: int
    no_init_image: int
    interrupt_status: int = 200
    names_tasks: bool = True
    progress_is_open: bool = False


def _word_exception(refusal: Refusal) -> dict[str, Any]:
    """Name the exception. Those that FastAPI raises by itself, which have no name here, come out in its own words."""
    if refusal.code is None:
        return {"detail": refusal.message}
    is_http = refusal.code == "HTTPException"
    detail, errors = (refusal.message, "") if is_http else ("", refusal.message)
    return {"error": refusal.code, "detail": detail, "body": "", "errors": errors}


def _word_detail(refusal: Refusal) -> dict[str, Any]:
    return {"detail": refusal.message}


def _word_with_code(refusal: Refusal) -> dict[str, Any]:
    if refusal.param == "bare":
        return {"error": refusal.message}
    worded = _word_exception(refusal)
    return {**worded, "code": refusal.status} if "error" in worded else worded


DIALECTS: Mapping[DialectName, Dialect] = {
    "a1111": Dialect(
        word=_word_exception,
        defaults={"denoising_strength": 0.75, "inpainting_fill": 0, "inpaint_full_res": True},
        unknown_sampler=400,
        no_init_image=404,
    ),
    "forge": Dialect(
        word=_word_detail,
        defaults={"denoising_strength": 0.75, "inpainting_fill": 0, "inpaint_full_res": True},
        unknown_sampler=400,
        no_init_image=404,
        progress_is_open=True,
    ),
    "sdnext": Dialect(
        word=_word_with_code,
        defaults={"denoising_strength": 0.5, "inpainting_fill": 1, "inpaint_full_res": False},
        unknown_sampler=404,
        no_init_image=400,
        interrupt_status=204,
        names_tasks=False,
    ),
}
