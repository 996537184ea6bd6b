"""A request under a key: what is kept of it, and when its key is free again, however its work ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from fixtures_server import KEY, FakeUncropper, fake_service, picture
from uncrop.admission.idempotency import Claim
from uncrop.errors import (
    ContentRejected,
    IdempotencyInProgress,
    InternalError,
    ProviderError,
    ProviderRateLimited,
    ServerBusy,
    UncropError,
)
from uncrop.model import Answer, Sides, UncropRequest, UncropResult
from uncrop.service.once import Asked, Repeatable
from uncrop.service.pictures import MadePictures
from uncrop.service.report import RunReport
from uncrop.service.tasks import CallerLeft

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from uncrop.model import Caller
    from uncrop.model.claims import Standing
    from uncrop.providers.commitment import Commitment
    from uncrop.uncropper import OnceMade

REQUEST = UncropRequest(provider="clipdrop", image=b"photo", sides=Sides(left=1))


async def _claimed(_connection: object) -> None:
    """Claim a key."""


@dataclass
class FakeIdempotency:
    """Notes what it is told, in order.

    Attributes
    ----------
    standing
        Where a claim is said to stand at its end.
    keeps
        Whether answers can be kept.
    found
        What is there before, or why the key is refused.
    """

    standing: Standing = "free"
    keeps: bool = True
    found: Answer | UncropError | None = None
    told: list[str] = field(default_factory=list)
    claim: Claim = field(
        default_factory=lambda: Claim(id="1", organization_id="o", key="k", fingerprint=b"f", also=_claimed)
    )

    async def begin(self, _caller: Caller, key: str, fingerprint: bytes, *, make_room: Callable[[int], None]) -> Any:
        make_room(3)
        self.told.append(f"begin {key} {fingerprint!r}")
        if isinstance(self.found, UncropError):
            raise self.found
        return self.found or self.claim

    async def put(self, claim: Claim, answer: Answer) -> Any:
        self.told.append(f"put {answer.body!r}")

        async def also(_connection: object) -> None:
            self.told.append("noted with the booking")
            claim.answer = answer

        return also if self.keeps else None

    async def note(self, claim: Claim, answer: Answer) -> None:
        self.told.append(f"note {answer.body!r}")
        if self.keeps:
            claim.answer = answer

    async def end(self, _claim: Claim, *, keep: bool = False) -> Standing:
        self.told.append("end, to be kept" if keep else "end")
        return self.standing

    def forget(self, _claim: Claim) -> None:
        self.told.append("forget")


class KeyedUncropper(FakeUncropper):
    """Claims the key, does what it is told, and keeps the answer, as the flow does."""

    books = True

    async def run(self, *arguments: Any, once: OnceMade, **options: Any) -> UncropResult:
        assert once.claim is not None
        once.claim.next_hold_id()
        result = await super().run(*arguments, once=once, **options)
        if once.keep is not None:
            also = await once.keep(result)
            if also is not None and self.books:
                await also(None)
        return result


@dataclass
class Front:
    """Asks under a key, as a front does."""

    folder: Path
    idempotency: FakeIdempotency = field(default_factory=FakeIdempotency)
    action: Callable[[UncropRequest, Commitment], Any] | None = None
    request: UncropRequest = REQUEST
    room: list[int] = field(default_factory=list)
    report: RunReport = field(default_factory=RunReport)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.uncropper = KeyedUncropper(self.action)
        self.service = fake_service(self.folder, uncropper=self.uncropper, idempotency=self.idempotency)

    async def _read(self) -> Asked:
        repeatable = Repeatable(
            key="k",
            fingerprint=b"f",
            render=lambda made: Answer(status=200, headers=(), body=b"%d made" % len(made.pictures)),
            render_error=lambda error: Answer(status=error.status, headers=(), body=error.code.encode()),
            make_room=self.room.append,
        )
        return Asked(request=self.request, repeatable=repeatable)

    async def _left(self) -> None:
        await self.gone.wait()

    async def extend(self) -> MadePictures | Answer:
        return await self.service.extend([KEY], self._read, self._left, report=self.report, finished=lambda _end: None)

    @property
    def told(self) -> list[str]:
        return self.idempotency.told


BEGIN = "begin k b'f'"


def fails(error: Exception, *, sent: bool) -> Any:
    async def action(_request: UncropRequest, commitment: Commitment) -> UncropResult:
        if sent:
            await commitment.commit()
        raise error

    return action


async def test_a_picture_is_kept_with_its_booking(tmp_path: Path) -> None:
    front = Front(tmp_path)
    answer = await front.extend()
    assert answer == Answer(status=200, headers=(), body=b"1 made")
    assert front.told == [BEGIN, "put b'1 made'", "noted with the booking", "forget"]
    assert front.report.made is not None
    assert not front.report.replayed


async def test_an_answer_that_was_there_is_given(tmp_path: Path) -> None:
    there = Answer(status=200, headers=(), body=b"old", replayed=True)
    front = Front(tmp_path, FakeIdempotency(found=there))
    assert await front.extend() is there
    assert (front.told, front.room) == ([BEGIN], [3])
    assert front.report.replayed
    assert front.uncropper.requests == []


async def test_a_key_that_is_refused(tmp_path: Path) -> None:
    front = Front(tmp_path, FakeIdempotency(found=IdempotencyInProgress()))
    with pytest.raises(IdempotencyInProgress):
        await front.extend()
    assert front.uncropper.requests == []


async def test_a_service_that_keeps_nothing_passes_keys_over(tmp_path: Path) -> None:
    front = Front(tmp_path)
    front.service = fake_service(tmp_path)
    assert isinstance(await front.extend(), MadePictures)


async def test_several_pictures_are_kept_when_all_are_booked(tmp_path: Path) -> None:
    front = Front(tmp_path, request=UncropRequest(provider="clipdrop", image=b"photo", variations=3))
    front.service = fake_service(tmp_path, uncropper=front.uncropper, idempotency=front.idempotency, registry=Rows())
    answer = await front.extend()
    assert isinstance(answer, Answer)
    assert answer.body == b"3 made"
    assert front.told == [BEGIN, "note b'3 made'", "forget"]


class Rows:
    """A registry whose provider takes no seed."""

    class _Maker:
        class facts:
            name = "clipdrop"

            @staticmethod
            def field(_name: str) -> None:
                return None

    def names(self) -> tuple[str, ...]:
        return ("clipdrop",)

    def get(self, _name: str) -> Any:
        return self._Maker


async def test_an_answer_that_was_not_booked_is_noted_by_itself(tmp_path: Path) -> None:
    front = Front(tmp_path)
    front.uncropper.books = False
    await front.extend()
    assert front.told == [BEGIN, "put b'1 made'", "note b'1 made'", "forget"]


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(tmp_path: Path) -> None:
    front = Front(tmp_path, FakeIdempotency(keeps=False, standing="lost"))
    answer = await front.extend()
    assert isinstance(answer, Answer)
    assert answer.body == b"1 made"
    assert front.told == [BEGIN, "put b'1 made'", "note b'1 made'", "end", "forget"]


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (ServerBusy(), False),
        (ContentRejected(), False),
        (ProviderError(), True),
        (ProviderRateLimited(), True),
        (InternalError(), True),
    ],
)
async def test_a_failure_that_may_end_otherwise_frees_the_key(tmp_path: Path, error: UncropError, sent: bool) -> None:
    front = Front(tmp_path, action=fails(error, sent=sent))
    with pytest.raises(type(error)):
        await front.extend()
    assert front.told == [BEGIN, "end", "forget"]


async def test_a_refusal_that_a_provider_has_given_is_the_answer(tmp_path: Path) -> None:
    front = Front(tmp_path, action=fails(ContentRejected(), sent=True))
    assert await front.extend() == Answer(status=422, headers=(), body=b"CONTENT_REJECTED")
    assert front.told == [BEGIN, "end, to be kept", "note b'CONTENT_REJECTED'", "forget"]


async def test_a_refusal_that_cannot_be_kept_frees_the_key(tmp_path: Path) -> None:
    front = Front(tmp_path, FakeIdempotency(keeps=False), fails(ContentRejected(), sent=True))
    assert isinstance(await front.extend(), Answer)
    assert front.told == [BEGIN, "end, to be kept", "note b'CONTENT_REJECTED'", "end", "forget"]


async def test_a_failure_that_was_paid_is_the_answer(tmp_path: Path) -> None:
    front = Front(tmp_path, FakeIdempotency(standing="lost"), fails(ProviderError(), sent=True))
    assert await front.extend() == Answer(status=502, headers=(), body=b"PROVIDER_ERROR")
    assert front.told == [BEGIN, "end", "note b'PROVIDER_ERROR'", "forget"]


@pytest.mark.parametrize("error", [ProviderError(), ContentRejected()])
async def test_a_failure_in_doubt_keeps_nothing(tmp_path: Path, error: UncropError) -> None:
    front = Front(tmp_path, FakeIdempotency(standing="unknown"), fails(error, sent=True))
    with pytest.raises(type(error)):
        await front.extend()
    assert front.told[-2:] == ["end, to be kept" if isinstance(error, ContentRejected) else "end", "forget"]


async def test_a_failure_before_anything_was_held_leaves_nothing(tmp_path: Path) -> None:
    class Refusing(FakeUncropper):
        async def run(self, *_: Any, **__: Any) -> UncropResult:
            raise ContentRejected

    front = Front(tmp_path)
    front.service = fake_service(tmp_path, uncropper=Refusing(), idempotency=front.idempotency)
    with pytest.raises(ContentRejected):
        await front.extend()
    assert front.told == [BEGIN, "forget"]


@pytest.mark.parametrize("standing", ["lost", "free"])
async def test_a_fault_of_our_own_is_no_answer(tmp_path: Path, standing: Standing) -> None:
    front = Front(tmp_path, FakeIdempotency(standing=standing), fails(ZeroDivisionError(), sent=True))
    with pytest.raises(ZeroDivisionError):
        await front.extend()
    assert front.told == [BEGIN, "end", "forget"]


async def test_who_leaves_before_anything_is_sent_frees_the_key(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def wait(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
        begun.set()
        await asyncio.Event().wait()
        return picture()

    front = Front(tmp_path, action=wait)
    asking = asyncio.create_task(front.extend())
    await begun.wait()
    front.gone.set()
    with pytest.raises(CallerLeft):
        await asking
    await front.service.drain()
    assert front.told == [BEGIN, "end", "forget"]


async def test_who_leaves_later_finds_the_answer(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def send(_request: UncropRequest, commitment: Commitment) -> UncropResult:
        await commitment.commit()
        begun.set()
        await go_on.wait()
        return picture()

    front = Front(tmp_path, action=send)
    asking = asyncio.create_task(front.extend())
    await begun.wait()
    front.gone.set()
    with pytest.raises(CallerLeft):
        await asking
    assert "forget" not in front.told
    go_on.set()
    await front.service.drain()
    assert front.told == [BEGIN, "put b'1 made'", "noted with the booking", "forget"]


def test_an_answer_does_not_show_its_pixels() -> None:
    assert "secret" not in repr(Answer(status=200, headers=(), body=b"secret"))
