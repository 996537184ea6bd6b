"""A double of the sender: answers from a script, without a network."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncrop.providers.commitment import Commitment
    from uncrop.providers.conversation import Answer, Call
    from uncrop.providers.transport.addresses import Addresses


class ScriptedSend:
    """A ``Send`` that gives one scripted answer, or raises one scripted error, per call.

    Attributes
    ----------
    calls
        Every call that was sent.
    """

    def __init__(self, *script: Answer | BaseException) -> None:
        self.calls: list[Call] = []
        self._script = deque(script)

    async def __call__(self, call: Call, addresses: Addresses, commitment: Commitment | None) -> Answer:  # noqa: ARG002
        """Commit, note the call, and give the next answer.

        Raises
        ------
        LookupError
            When the script is at its end.
        """
        if commitment is not None and call.kind == "submit":
            await commitment.commit()
        self.calls.append(call)
        if not self._script:
            raise LookupError("the script holds no answer for this call")
        outcome = self._script.popleft()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
