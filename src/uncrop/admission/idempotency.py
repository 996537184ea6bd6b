"""Requests under a key: each is carried out once, and who asks again gets the same answer.

A key is bound from the moment at which something is held for its request, and free again once it is certain that
nothing was made and nothing has to be paid. In between it is never handed to a second request.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import anyio
import structlog

from uncrop.errors import (
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyMismatch,
    IdempotencyOutcomeUnknown,
    ResultNotKept,
    ServerBusy,
    UncropError,
)
from uncrop.model import Answer
from uncrop.model.claims import KeptAnswer, hold_id, hold_ids
from uncrop.store.bookings import Bookings
from uncrop.store.keyed_requests import RETENTION, NewClaim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from uncrop.model import Caller
    from uncrop.model.claims import KeyedRequest, Standing
    from uncrop.store.books import Expired, Part

log = structlog.stdlib.get_logger("uncrop.admission")

# Whoever has been silent for so long is taken to be dead. Too soon costs no second payment: see ``Idempotency``.
LEASE = timedelta(seconds=30)
# A picture that is made is not withheld for longer because it cannot be kept.
KEEP_S = 15.0
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def check_key(sent: Sequence[str]) -> str | None:
    """Return the key that was sent; ``None`` where none was.

    Raises
    ------
    IdempotencyKeyInvalid
        It is none, or there are several.
    """
    if not sent:
        return None
    if len(sent) > 1 or not _KEY.fullmatch(sent[0]):
        raise IdempotencyKeyInvalid
    return sent[0]


class RowsOfKeys(Protocol):
    """What is asked of the store: ``uncrop.store.keyed_requests.KeyedRequests`` answers."""

    async def look(self, organization_id: str, key: str) -> KeyedRequest | None:
        """Return the request under a key."""

    def claim(self, new: NewClaim, refuse: Callable[[KeyedRequest], Exception]) -> Part:
        """Return what claims a key."""

    def answer(self, claim_id: str, answer: KeptAnswer, then: Callable[[], None] = ...) -> Part:
        """Return what notes an answer."""

    async def note_answer(self, claim_id: str, answer: KeptAnswer) -> None:
        """Note an answer."""

    async def end(self, claim_id: str, *, keep: bool = False) -> Standing:
        """Say that nobody works on a claim any more."""

    async def renew(self, claim_ids: Sequence[str], lease: timedelta) -> None:
        """Say that claims are worked on."""

    async def end_leases(self) -> int:
        """Say that nobody works on any claim."""

    async def purge(self) -> tuple[str, ...]:
        """Delete what does not count any more."""

    async def having(self, object_names: Sequence[str]) -> frozenset[str]:
        """Return which objects belong to a row."""


class ObjectStore(Protocol):
    """What is asked of the objects: ``uncrop.objects.objects.Objects`` answers."""

    async def put(self, owner: str, data: bytes) -> str:
        """Write an object."""

    async def get(self, name: str) -> bytes | None:
        """Read an object."""

    async def delete(self, name: str) -> None:
        """Delete an object."""

    async def older_than(self, moment: datetime) -> list[str]:
        """List old objects."""


class Expirer(Protocol):
    """What is asked of the ledger: ``uncrop.ledger.ledger.Ledger`` answers."""

    async def expire(self, older_than: timedelta, *, only: Sequence[str] | None = None) -> Expired:
        """Give back what nobody works on."""


@dataclass(kw_only=True, slots=True)
class Claim:
    """One request's claim to its key.

    Attributes
    ----------
    answer
        What is kept and noted of it, once that is certain.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    organization_id: str
    key: str = field(repr=False)
    fingerprint: bytes = field(repr=False)
    answer: Answer | None = None
    also: Part
    _holds: int = 0

    @property
    def name(self) -> tuple[str, str]:
        """Which key it is, and whose."""
        return self.organization_id, self.key

    @property
    def began(self) -> bool:
        """Whether anything may have been held for it."""
        return self._holds > 0

    def next_hold_id(self) -> str:
        """Return the id of the claim's next hold."""
        self._holds += 1
        return hold_id(self.id, self._holds - 1)


class Idempotency:
    """Finds requests that were carried out before, and keeps the answers of those that are.

    That no call is paid twice does not depend on the lease: whoever takes over a claim first closes its holds, and a
    closed hold lets no call be sent.

    Parameters
    ----------
    rows
        Where the claims are.
    objects
        Where the answers' bodies are.
    ledger
        Closes the holds of claims that nobody works on.
    lease
        For how long a claim is taken to be worked on without a sign of it.
    """

    def __init__(self, rows: RowsOfKeys, objects: ObjectStore, ledger: Expirer, *, lease: timedelta = LEASE) -> None:
        self._rows = rows
        self._objects = objects
        self._ledger = ledger
        self.lease = lease
        self._running: dict[tuple[str, str], Claim] = {}
        self._bookings = Bookings()

    async def begin(
        self, caller: Caller, key: str, fingerprint: bytes, *, make_room: Callable[[int], None]
    ) -> Claim | Answer:
        """Return the answer that was given before, or a claim; who gets one must ``forget`` it in the end.

        Parameters
        ----------
        fingerprint
            SHA-256 of what is asked.
        make_room
            Told how many bytes an answer has before it is read; may refuse.

        Raises
        ------
        IdempotencyMismatch, IdempotencyInProgress, IdempotencyOutcomeUnknown, ResultNotKept
            The key is bound, and there is no answer to give.
        ServerBusy
            The database, or what keeps the answers, cannot be used.
        """
        organization_id = caller.organization_id or ""
        self._check_here((organization_id, key), fingerprint)
        found = await self._found(organization_id, key)
        if found is not None:
            return await self._replay(found, fingerprint, make_room)
        self._check_here((organization_id, key), fingerprint)
        claim = self._new_claim(organization_id, key, fingerprint)
        self._running[claim.name] = claim
        return claim

    def forget(self, claim: Claim) -> None:
        """Say that this process does not work on a claim any more."""
        if self._running.get(claim.name) is claim:
            del self._running[claim.name]

    async def put(self, claim: Claim, answer: Answer) -> Part | None:
        """Keep an answer's body, and return what notes it within a transaction; ``None`` if it cannot be kept."""
        kept = await self._put(claim, answer)
        if kept is None:
            return None

        def noted() -> None:
            claim.answer = answer

        return self._rows.answer(claim.id, kept, noted)

    async def note(self, claim: Claim, answer: Answer) -> None:
        """Keep an answer and note it; a failure is logged, and leaves the key bound without an answer."""
        kept = await self._put(claim, answer)
        if kept is None:
            return
        try:
            await self._bookings.see_through(self._rows.note_answer(claim.id, kept))
        except UncropError as error:
            log.error("an answer was not noted", claim=claim.id, error_type=type(error.__cause__).__name__)  # noqa: TRY400
            return
        claim.answer = answer

    async def end(self, claim: Claim, *, keep: bool = False) -> Standing:
        """Free the key where nothing was made or paid, and return where the claim stands; a failure is logged.

        Parameters
        ----------
        keep
            Not to free it, since the answer will be noted.
        """
        try:
            return await self._bookings.see_through(self._rows.end(claim.id, keep=keep))
        except UncropError as error:
            # Its lease runs out, and then its holds say where it stands.
            log.error("a claim was not ended", claim=claim.id, error_type=type(error.__cause__).__name__)  # noqa: TRY400
            return "running"

    async def begin_alone(self) -> None:
        """Take the claims of all servers before this one to be abandoned, since no other is on this database.

        Raises
        ------
        ServerBusy
            The database cannot be used.
        """
        await self._rows.end_leases()

    async def renew(self) -> None:
        """Say of all claims of this process that they are worked on.

        Raises
        ------
        ServerBusy
            The database cannot be used.
        """
        begun = [claim.id for claim in self._running.values() if claim.began]
        if begun:
            await self._rows.renew(begun, self.lease)

    async def purge(self) -> int:
        """Delete the answers that have been kept for long enough, and return how many there were.

        Raises
        ------
        ServerBusy
            The database, or what keeps the answers, cannot be used.
        """
        deleted = 0
        while names := await self._rows.purge():
            # The rows are gone, so nobody reads these any more; what is left here is found by ``purge_strays``.
            await self._delete(names)
            deleted += len(names)
        return deleted

    async def purge_strays(self, now: datetime) -> int:
        """Delete objects that no request has, left by processes that died; return how many there were.

        Raises
        ------
        ServerBusy
            The database, or what keeps the answers, cannot be used.
        """
        old, deleted = await self._objects.older_than(now - RETENTION), 0
        for start in range(0, len(old), _AT_A_TIME):
            names = old[start : start + _AT_A_TIME]
            strays = sorted({*names} - await self._rows.having(names))
            await self._delete(strays)
            deleted += len(strays)
        return deleted

    async def drain(self) -> None:
        """Wait until all that was begun is written; call it before the store is closed."""
        await self._bookings.drain()

    def _new_claim(self, organization_id: str, key: str, fingerprint: bytes) -> Claim:
        new = NewClaim(
            organization_id=organization_id,
            key=key,
            claim_id=uuid.uuid4().hex,
            fingerprint=fingerprint,
            lease=self.lease,
        )
        also = self._rows.claim(new, lambda found: _refusal(found, fingerprint))
        return Claim(id=new.claim_id, organization_id=organization_id, key=key, fingerprint=fingerprint, also=also)

    def _check_here(self, name: tuple[str, str], fingerprint: bytes) -> None:
        """Refuse at once what this process is working on."""
        running = self._running.get(name)
        if running is not None:
            raise IdempotencyInProgress if running.fingerprint == fingerprint else IdempotencyMismatch

    async def _found(self, organization_id: str, key: str) -> KeyedRequest | None:
        """Return the request that the key is bound to, once what a dead process held for it is closed."""
        found = await self._rows.look(organization_id, key)
        if found is not None and found.standing == "abandoned":
            await self._ledger.expire(timedelta(0), only=hold_ids(found.claim_id))
            found = await self._rows.look(organization_id, key)
        return None if found is None or found.standing == "free" else found

    async def _replay(self, found: KeyedRequest, fingerprint: bytes, make_room: Callable[[int], None]) -> Answer:
        kept = found.answer
        if kept is None or found.fingerprint != fingerprint:
            raise _refusal(found, fingerprint)
        make_room(kept.size)
        body = await self._objects.get(kept.object_name)
        if body is None:
            raise ResultNotKept(system_message="An answer that was kept is missing or damaged")
        return Answer(status=kept.status, headers=kept.headers, body=body, replayed=True)

    async def _put(self, claim: Claim, answer: Answer) -> KeptAnswer | None:
        name = None
        try:
            with anyio.move_on_after(KEEP_S):
                name = await self._objects.put(claim.id, answer.body)
        except ServerBusy:
            pass
        if name is None:
            log.error("an answer could not be kept", claim=claim.id, bytes=len(answer.body))
            return None
        return KeptAnswer(status=answer.status, headers=answer.headers, object_name=name, size=len(answer.body))

    async def _delete(self, names: Iterable[str]) -> None:
        for name in names:
            await self._objects.delete(name)


_AT_A_TIME = 500


def _refusal(found: KeyedRequest, fingerprint: bytes) -> UncropError:
    """Return why a key that is bound cannot be used."""
    if found.fingerprint != fingerprint:
        return IdempotencyMismatch()
    if found.standing == "unknown":
        return IdempotencyOutcomeUnknown()
    if found.standing == "lost":
        return ResultNotKept()
    # Answered meanwhile, too: who asks once more gets the answer.
    return IdempotencyInProgress()
