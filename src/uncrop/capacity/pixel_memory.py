"""Memory: how many bytes of decoded pixels are held at once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from uncrop.capacity.fair_queue import NOBODY, FairQueue
from uncrop.errors import ImageTooLarge
from uncrop.imaging.cost import cost_of
from uncrop.imaging.jpeg import kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from uncrop.errors import UncropError
    from uncrop.model import Job

# An organization that holds some may not take the last sixteenth: the photo of another's first request fits there.
KEPT_SHARE = 16
BYTES_A_PIXEL = 3  # RGB
# Of a provider's picture and the canvas, for each pixel of the canvas: as it came, cut or resized, and with an alpha.
FINISHING = 10
# The same, of drawing detail into what was enlarged; the most where that was by 2.
DETAIL = 40
MEGABYTE = 1_000_000


def pixel_bytes(job: Job) -> int:
    """Predict the bytes that a job's pixels take: the photo and its mask as decoded, and the work on them.

    What works on this machine takes them in another process; the finished picture takes their place in this one. What
    decoding takes, and unpacking a provider's answer, is held for as long as that lasts; see ``Unpacking``.
    """
    header = job.header
    extent = header.width * header.height
    photo = extent * header.channels * header.bits // 8
    mask = 0 if job.request.mask is None else extent * 4
    predict = job.provider.working_bytes
    working = 0 if predict is None else predict(header, job.sides)
    # The provider's work is over when coefficients are.
    return photo + mask + max(_between_calls(job) + working, _coefficients(job))


def decoding_bytes(job: Job) -> int:
    """Predict the bytes that decoders of the photo and of the mask take, one after the other, besides the pixels."""
    files = (job.photo_file, job.mask_file)
    return max(cost_of(file).peak_bytes for file in files if file is not None)


def finishing_bytes(job: Job) -> int:
    """Predict the bytes that putting the photo back into a provider's picture takes."""
    header, placement = job.header, job.placement
    in_rgb = 0 if (header.channels, header.bits) == (BYTES_A_PIXEL, 8) else BYTES_A_PIXEL
    each = FINISHING + (DETAIL if job.is_redrawn else 0)
    return each * placement.width * placement.height + in_rgb * header.width * header.height


def _coefficients(job: Job) -> int:
    """Return the bytes of the coefficients that a JPEG of a JPEG is made of."""
    return kept.working_bytes(job.photo_file, job.placement) if job.may_keep_coefficients else 0


def _between_calls(job: Job) -> int:
    """Return the bytes of the canvas that is kept from one call to the next, and of what a call made of it."""
    if job.plan is None or job.plan.direct:
        return 0
    windows = (call.window.width * call.window.height for call in job.plan.calls)
    return BYTES_A_PIXEL * (job.placement.width * job.placement.height + max(windows))


class PixelMemory:
    """A bounded number of bytes, shared by organizations as ``FairQueue`` says.

    A small file may hold a large picture, so a number of slots alone does not bound the memory. A picture that is
    larger than all there is waits until it is alone, or is refused.

    Parameters
    ----------
    max_bytes
        All there is, at least 1.
    refuses
        Whether a picture that needs more is refused.

    Attributes
    ----------
    refuses
        As the parameter.
    """

    def __init__(self, max_bytes: int, *, refuses: bool = False) -> None:
        self._all = max_bytes
        self.refuses = refuses
        self._queue = FairQueue(max_bytes, kept=max_bytes // KEPT_SHARE)

    @property
    def held(self) -> int:
        """How many bytes are held."""
        return self._queue.held

    def check(self, wanted: int) -> None:
        """Refuse a picture that needs more than there is, where such pictures are refused.

        Raises
        ------
        ImageTooLarge
        """
        if self.refuses and wanted > self._all:
            raise ImageTooLarge(
                "The picture needs more memory than this server has for pictures",
                details={
                    "needed": -(-wanted // MEGABYTE),
                    "max_allowed": self._all // MEGABYTE,
                    "unit": "megabytes",
                },
            )

    @asynccontextmanager
    async def hold(self, wanted: int, owner: str = NOBODY) -> AsyncIterator[None]:
        """Hold so many bytes, once those whose turn comes before have theirs."""
        async with self._queue.hold(owner, min(wanted, self._all)):
            yield

    def close(self, refusal: Callable[[], UncropError]) -> None:
        """Refuse all who wait, and all who come."""
        self._queue.close(refusal)
