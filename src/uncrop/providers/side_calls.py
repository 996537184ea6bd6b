"""Calls beside the one that makes the picture: how far it is, and that it is not wanted any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, TypeAlias

from uncrop.errors import UncropError
from uncrop.providers.conversation import Answer, Call

if TYPE_CHECKING:
    from uncrop.model import Progress
    from uncrop.providers.conversation import Cancelling, ProgressPoll

Ask: TypeAlias = Callable[[Call], Awaitable[Answer]]


async def report(poll: ProgressPoll, ask: Ask, sleep: Callable[[float], Awaitable[None]], progress: Progress) -> None:
    """Tell, again and again, how far the work is. What ``progress`` raises is raised."""
    while True:
        await sleep(poll.every_s)
        try:
            fraction = poll.read(await ask(poll.call))
        except UncropError:
            continue
        if fraction is not None:
            progress(fraction, poll.step)


async def cancel(cancelling: Cancelling, ask: Ask) -> None:
    """Tell a provider to end the work; whether it does changes nothing for us."""
    try:
        if isinstance(cancelling, Call):
            await ask(cancelling)
        else:
            await _talk(cancelling(), ask)
    except UncropError:
        return


async def _talk(calls: Generator[Call, Answer, None], ask: Ask) -> None:
    call = next(calls, None)
    while call is not None:
        answer = await ask(call)
        try:
            call = calls.send(answer)
        except StopIteration:
            return
