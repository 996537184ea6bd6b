"""From a placement to the calls that make it, where one call by itself cannot; integers only, pure.

A canvas beyond what a provider makes, and a photo beyond what it takes, are made in three ways, alone or together:

- A call is sent only a part of the picture so far, next to what is to be made.
- The part is scaled for the call, where the row's ``scales`` allows it, and what was made is scaled back.
- Several calls make the canvas grow outward from the photo, each fed with what the ones before it made.

Each call costs money, so of all such plans one with the fewest calls is taken, and a part is scaled only where nothing
else keeps its call within the limits. No part is scaled for the sake of the limit of a side: that takes calls.

Most plans are one call and take some hundredths of a millisecond. The rare search over four sides takes up to five, so
that the last plans are kept: a quote, its request, and the next photo of a batch ask for the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

from uncrop.geometry.one_call import CallFitter
from uncrop.geometry.planner import Obstacle, plan_call
from uncrop.model.plans import CallPlan, Plan
from uncrop.model.shapes import Frame, Placement, Rect, Sides

if TYPE_CHECKING:
    from uncrop.model.provider_facts import GeometryFacts

# No picture takes more calls than this; what would is refused as what no number of calls makes.
MOST_CALLS = 64
_SIDES = ("left", "right", "up", "down")


@lru_cache(maxsize=1024)
def plan(
    placement: Placement,
    geometry: GeometryFacts,
    max_calls: int = 1,
    *,
    photo: tuple[int, int] | None = None,
    cuts: bool = True,
) -> Plan | Obstacle:
    """Plan the calls that make a canvas.

    Parameters
    ----------
    placement
        The canvas, and where the photo lies on it.
    geometry
        What the provider speaks, and its limits.
    max_calls
        Most calls that the plan may have.
    photo
        Width and height of the whole photo, which providers that crop by themselves are sent; by default the used part.
    cuts
        Whether a call may be sent a part of the photo. Not where pixels inside the photo are to be made too.

    Returns
    -------
    Plan
        With the fewest calls; or, where ``max_calls`` do not suffice, what is in the way of one call, with the number
        of calls that it would take, if any number does.
    """
    kept = placement.kept
    whole = Rect(x=0, y=0, width=placement.width, height=placement.height)
    obstacle = _of_one_call(placement, geometry, photo)
    if obstacle is None:
        frame = Frame(width=whole.width, height=whole.height, canvas=whole, photo=kept)
        return Plan(calls=(CallPlan(part=kept, window=whole, frame=frame),), direct=True)
    wanted = placement.added
    search = _Search(fitter=CallFitter.of(geometry, cuts=cuts))
    calls = search.fewest(kept, wanted) if any(_amounts(wanted)) else None
    if calls is None:
        return obstacle
    return replace(obstacle, calls_needed=len(calls)) if len(calls) > max_calls else Plan(calls=calls)


def _of_one_call(placement: Placement, geometry: GeometryFacts, photo: tuple[int, int] | None) -> Obstacle | None:
    """Return what is in the way of one call that is sent the photo as it is."""
    planned = plan_call(placement, geometry)
    if isinstance(planned, Obstacle):
        return planned
    most = geometry.max_photo_pixels
    if geometry.crops and photo is not None and most is not None and photo[0] * photo[1] > most:
        return Obstacle(quantity="photo_pixels", value=photo[0] * photo[1], limit=most)
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Search:
    """Looks for the fewest calls within one row's limits.

    Attributes
    ----------
    fitter
        Makes the single calls.
    found
        How the rest is made, by what is left to grow.
    """

    fitter: CallFitter
    found: dict[Sides, tuple[CallPlan, ...] | None] = field(default_factory=dict)

    def fewest(self, known: Rect, wanted: Sides) -> tuple[CallPlan, ...] | None:
        """Return the calls by which ``known`` grows by ``wanted``: on all sides at once, else on some before others."""
        if wanted not in self.found:
            self.found[wanted] = self.together(known, wanted) or self.in_turn(known, wanted)
        return self.found[wanted]

    def in_turn(self, known: Rect, wanted: Sides) -> tuple[CallPlan, ...] | None:
        """Return the fewest calls that make some of the sides before the others."""
        best: tuple[CallPlan, ...] | None = None
        for now in _some_of(wanted):
            later = _less(wanted, now)
            # What cannot become fewer is not worth to be looked for.
            if best is not None and self.least(now) + self.least(later) >= len(best):
                continue
            first = self.together(known, now)
            if first is None or (best is not None and len(first) + self.least(later) >= len(best)):
                continue
            rest = self.fewest(_grown(known, now), later)
            if rest is not None and (best is None or len(first) + len(rest) < len(best)):
                best = first + rest
        return best

    def least(self, wanted: Sides) -> int:
        """Return how many calls the limit of a side asks for at least."""
        facts = self.fitter.geometry
        return 1 if facts.max_side is None else -(-max(_amounts(wanted)) // max(1, facts.max_side - facts.grid + 1))

    def together(self, known: Rect, wanted: Sides) -> tuple[CallPlan, ...] | None:
        """Return the fewest calls of which each makes an even share of every side."""
        amounts, asked_for = _amounts(wanted), self.least(wanted)
        # More calls than the sides ask for help only where a part of the picture can be sent, next to one side.
        most = min(MOST_CALLS, max(amounts) if sum(1 for amount in amounts if amount) == 1 else asked_for)
        failed, made = 0, None
        for calls in _tries(min(asked_for, most), most):
            if calls > asked_for and not self.is_possible(known, wanted, most):
                return None
            made = self.in_rounds(known, wanted, calls)
            if made is not None:
                break
            failed = calls
        while made is not None and len(made) - failed > 1:
            middle = (failed + len(made)) // 2
            fewer = self.in_rounds(known, wanted, middle)
            failed, made = (middle, made) if fewer is None else (failed, fewer)
        return made

    def in_rounds(self, known: Rect, wanted: Sides, rounds: int) -> tuple[CallPlan, ...] | None:
        """Return so many calls, or ``None`` where one of them would break a limit."""
        calls: dict[int, CallPlan] = {}
        # The outermost one is the largest, the innermost the smallest: they tell soonest that there is no way.
        for number in (rounds - 1, *range(rounds - 1)):
            call = self.one_round(known, wanted, number, rounds)
            if call is None:
                return None
            calls[number] = call
        return tuple(calls[number] for number in range(rounds))

    def is_possible(self, known: Rect, wanted: Sides, rounds: int) -> bool:
        """Tell whether the outermost and the innermost of so many calls keep every limit."""
        return all(self.one_round(known, wanted, number, rounds) is not None for number in (rounds - 1, 0))

    def one_round(self, known: Rect, wanted: Sides, number: int, rounds: int) -> CallPlan | None:
        """Return one of so many calls, counted from 0, or ``None`` where it would break a limit."""
        inner, outer = (_grown(known, _share(wanted, done, rounds)) for done in (number, number + 1))
        return self.fitter.make(inner, outer)


def _some_of(wanted: Sides) -> Iterator[Sides]:
    """Yield each choice of some of the sides that grow, but not all, the smallest choices first."""
    growing = [name for name in _SIDES if getattr(wanted, name)]
    for count in range(1, len(growing)):
        for names in combinations(growing, count):
            yield Sides(**{name: getattr(wanted, name) for name in names})


def _tries(asked_for: int, most: int) -> Iterator[int]:
    """Yield numbers of calls to try: one, as many as are asked for, and twice as many each time, up to the most."""
    if asked_for > 1:
        yield 1
    calls = asked_for
    while calls < most:
        yield calls
        calls *= 2
    yield most


def _amounts(sides: Sides) -> tuple[int, int, int, int]:
    return sides.left, sides.right, sides.up, sides.down


def _share(sides: Sides, number: int, rounds: int) -> Sides:
    """Return how far each side has grown after ``number`` of so many rounds."""
    left, right, up, down = (-(-amount * number // rounds) for amount in _amounts(sides))
    return Sides(left=left, right=right, up=up, down=down)


def _grown(known: Rect, sides: Sides) -> Rect:
    return Rect(
        x=known.x - sides.left,
        y=known.y - sides.up,
        width=known.width + sides.left + sides.right,
        height=known.height + sides.up + sides.down,
    )


def _less(sides: Sides, done: Sides) -> Sides:
    left, right, up, down = (a - b for a, b in zip(_amounts(sides), _amounts(done), strict=True))
    return Sides(left=left, right=right, up=up, down=down)
