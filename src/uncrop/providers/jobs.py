"""What conversations with providers of jobs have in common: the frame, the job that was taken, the picture's file."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import InternalError
from uncrop.geometry.planner import plan_call
from uncrop.model import Frame
from uncrop.providers.answers import read_object, read_text, sane_id
from uncrop.providers.conversation import Call, ask
from uncrop.providers.refusal import refuse_file

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from uncrop.model import GeometryFacts, Placement
    from uncrop.providers.conversation import Answer, Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """A job as it was taken.

    Attributes
    ----------
    request_id
        The provider's id of the job, or one of ours where it names no sane one.
    address
        Where to ask for it.
    body
        The whole answer.
    """

    request_id: str
    address: str
    body: Mapping[str, object]


def planned_frame(placement: Placement, geometry: GeometryFacts) -> Frame:
    """Return the canvas that the provider is asked for, which intake has found to be possible."""
    frame = plan_call(placement, geometry)
    if not isinstance(frame, Frame):
        raise InternalError(system_message=f"No frame for a legal canvas: {frame}")
    return frame


def read_submitted(answer: Answer, *, name: str, address: str) -> Submitted:
    """Read the answer to a submit.

    Parameters
    ----------
    answer
        It has the status of success.
    name, address
        What the provider calls the job's id, and where to ask for it.

    Raises
    ------
    ProviderInvalidResponse
        It names no job.
    """
    body = read_object(answer.body) or {}
    named, place = (read_text(body, field, missing="names no job") for field in (name, address))
    return Submitted(request_id=sane_id(named), address=place, body=body)


def fetch_file(address: str) -> Generator[Step, object, bytes]:
    """Fetch a picture from where the provider says that it lies, without any key.

    Raises
    ------
    UncropError
        As the status says.
    """
    fetched = yield from ask(Call(method="GET", url=address, kind="download"))
    if fetched.status != HTTPStatus.OK:
        raise refuse_file(fetched)
    return fetched.body
