"""The calls of a plan as tasks: each is a whole task to its provider's conversation, which speaks of one call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.errors import InternalError
from uncrop.geometry.notations import sides_of
from uncrop.imaging import arrays, codec
from uncrop.imaging.header import open_file
from uncrop.imaging.upload import encode_anew
from uncrop.model import Fill, Job, PictureFacts, Plan, Task, TokenUsage
from uncrop.placement.frames import cut_canvas
from uncrop.placement.steps import (
    begin_canvas,
    is_whole,
    part_of_canvas,
    part_of_photo,
    put_window,
    scale_part,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from uncrop.model import CallPlan, Detail, Picture, Pixels

    Finish: TypeAlias = Callable[[Task, Fill], Picture]
    """Puts what is known back into what a call made, and matches the two: ``uncrop.finish.pipeline.finish``."""


class Steps:
    """The canvas of one picture, on its way through the calls of its plan.

    Parameters
    ----------
    task
        The whole picture.
    plan
        Its calls.
    finish
        Called with what a call made of its window, at the canvas's scale. Not for a plan of one call that makes the
        whole canvas, which is finished with the picture.
    """

    def __init__(self, task: Task, plan: Plan, finish: Finish) -> None:
        self._task = task
        self._finish = finish
        self._in_one = len(plan.calls) == 1 and is_whole(plan.calls[0].window, task.job.placement)
        self._canvas: NDArray[np.uint8] | None = None
        self._made: list[PictureFacts] = []
        self._only: Fill | None = None
        self._difference: float | None = None
        self._detail: Detail | None = None

    def task_of(self, call: CallPlan) -> Task:
        """Return the next call's task: the part that it is sent, as a photo with a file of its own."""
        part = scale_part(self._part(call), call)
        plain = arrays.to_rgba8(part) if arrays.has_alpha(part) else arrays.to_rgb8(part)
        job, asked = self._task.job, call.asked
        job = replace(
            job,
            photo_file=open_file(_file_within(job, plain)),
            placement=asked,
            sides=sides_of(asked, asked.source.width, asked.source.height),
            plan=None,
            output_size=(asked.width, asked.height),
        )
        return Task(job=job, photo=plain)

    def take(self, call: CallPlan, fill: Fill) -> None:
        """Put what a call made at its place on the canvas."""
        made = Fill(pixels=cut_canvas(fill.pixels, call.frame), facts=fill.facts)
        if self._in_one:
            self._only = made
            self._made.append(made.facts)
            return
        job = replace(self._task.job, placement=call.shown, plan=Plan(calls=(call,)))
        picture = self._finish(Task(job=job, photo=self._part(call)), made)
        if self._canvas is None:
            self._canvas = begin_canvas(self._task)
        put_window(self._canvas, call.window, picture.pixels)
        if not self._made:
            # What later calls repaint is, for the greater part, what earlier ones made.
            self._difference = picture.repaint_difference
        self._detail = worst(self._detail, picture.detail)
        self._made.append(replace(made.facts, warnings=(*made.facts.warnings, *picture.warnings)))

    def facts(self) -> PictureFacts:
        """Return the facts of all calls so far, added up."""
        return add_facts(self._made)

    def fill(self) -> Fill:
        """Return what all calls made together."""
        if self._only is not None:
            return self._only
        if self._canvas is None:
            raise InternalError(system_message="No call of the plan was made")
        return Fill(
            pixels=self._canvas,
            facts=self.facts(),
            keeps_original=True,
            repaint_difference=self._difference,
            detail=self._detail,
        )

    def _part(self, call: CallPlan) -> Pixels:
        if self._canvas is None:
            return part_of_photo(self._task, call.part)
        return part_of_canvas(self._canvas, call.part)


def _file_within(job: Job, pixels: NDArray[np.uint8]) -> bytes:
    """Return a file of pixels that is no longer than the provider takes, where a JPEG can be that short."""
    data, _ = encode_anew(job.header, pixels, formats=job.provider.upload.formats)
    if len(data) <= job.provider.upload.max_bytes:
        return data
    return codec.encode(pixels, "JPEG", jpeg=job.header.jpeg)


def worst(before: Detail | None, now: Detail | None) -> Detail | None:
    """Return what is told of several calls: of the one that was enlarged the most, and a skipped one before others."""
    if before is None or now is None:
        return before or now
    return max(before, now, key=lambda each: (each.state == "skipped", each.factor))


def add_facts(facts: list[PictureFacts]) -> PictureFacts:
    """Add up what a provider said about each call of one picture.

    Credits and tokens are sums, ids stand beside one another, the last call tells the credits that are left.
    """
    first, last = facts[0], facts[-1]
    if len(facts) == 1:
        return first
    consumed = [each.credits_consumed for each in facts if each.credits_consumed is not None]
    usages = [each.usage for each in facts if each.usage is not None]
    return PictureFacts(
        provider=first.provider,
        request_id=",".join(each.request_id for each in facts),
        model=last.model,
        credits_consumed=_sum(consumed),
        credits_remaining=last.credits_remaining,
        usage=_sum_of_tokens(usages),
        warnings=tuple(dict.fromkeys(warning for each in facts for warning in each.warnings)),
    )


def _sum(amounts: list[Decimal]) -> Decimal | None:
    return sum(amounts[1:], amounts[0]) if amounts else None


def _sum_of_tokens(usages: list[TokenUsage]) -> TokenUsage | None:
    if not usages:
        return None
    return TokenUsage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        input_text_tokens=sum(usage.input_text_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        total_tokens=sum(usage.total_tokens for usage in usages),
    )
