"""From what was typed to rows of the database: which photos are made, which are there already, which contradict.

Some hundred photos are looked at at a time, and none is held in memory afterwards.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from anyio import to_thread

from uncrop.batch.notes import AS_WANTED, EXISTS, skipped
from uncrop.batch.prices import Outlook
from uncrop.batch.sources import BUCKET, MOST_PROBLEMS, SourcesError, reason
from uncrop.errors import InvalidImage
from uncrop.jobs.answers import error_to_text
from uncrop.jobs.requests import to_text
from uncrop.model.batches import PlannedPhoto

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from uncrop.batch.places import Places
    from uncrop.batch.prices import Prices
    from uncrop.batch.sources import PhotoToMake, Sources
    from uncrop.model.batches import Batch, BatchPhoto
    from uncrop.store.batches import Batches

AT_A_TIME = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What the command says about what was done before.

    Attributes
    ----------
    force
        Files that are there are replaced, but those that this batch has made since it was begun.
    retry_failed
        What failed is tried again; what was in doubt too, once the books say what became of it.
    quote_all
        Photos that nobody is billed for are looked into too.
    """

    force: bool = False
    retry_failed: bool = False
    quote_all: bool = False


@dataclass(kw_only=True)
class Planner:
    """Plans one round of a batch.

    Attributes
    ----------
    known, written
        Where photos are known from, and where the plan is written: for a plan that is only looked at, another database.
    batch
        The round that is planned.
    resumed
        Whether an earlier round of it had not ended.
    places, prices
        Open the files, and tell what photos would take.
    gone
        How many pictures that were made and paid for are not there any more.
    before
        How many photos stay as an earlier round has left them, by state.
    """

    known: Batches
    written: Batches
    batch: Batch
    resumed: bool
    places: Places
    prices: Prices
    wishes: Wishes
    at_a_time: int = AT_A_TIME
    gone: int = 0
    before: Counter[str] = field(default_factory=Counter)
    _problems: list[str] = field(default_factory=list)

    async def plan(self, sources: Sources) -> None:
        """Write down all photos.

        Raises
        ------
        SourcesError
            With all that is wrong with them; nothing may be made then.
        ServerBusy
            The database or a bucket cannot be used at the moment.
        """
        is_there = await to_thread.run_sync(self._looking)
        photos = sources.read()
        while some := await to_thread.run_sync(lambda: list(islice(photos, self.at_a_time))):
            await self._plan_some(some, is_there)
        if self._problems:
            raise SourcesError(self._problems)

    def _looking(self) -> Callable[[str], bool]:
        """Return what tells whether there is a picture of a name: of a bucket by one listing."""
        files = self.places.files_at(self.batch.place)
        if not self.batch.place.startswith(BUCKET):
            return files.exists
        try:
            # Of each name a number of eight bytes; the chance that two are the same is none.
            names = {hash(name) for name in files.names(recursive=True)}
        except FileNotFoundError as error:
            raise SourcesError([f"{self.batch.place}: there is no such bucket"]) from error
        return lambda name: hash(name) in names

    async def _plan_some(self, photos: Sequence[PhotoToMake], is_there: Callable[[str], bool]) -> None:
        outputs = [photo.output for photo in photos]
        known = await self.known.named(self.batch.id, outputs)
        planned = known if self.known is self.written else await self.written.named(self.batch.id, outputs)
        named = {output: row for output, row in planned.items() if row.round == self.batch.round}
        new: dict[str, PhotoToMake] = {}
        for photo in photos:
            if photo.output in named:
                self._same(photo, named[photo.output].source, named[photo.output].request)
            elif (other := new.setdefault(photo.output, photo)) is not photo:
                self._same(photo, other.source, to_text(other.request))
        if not self._problems:
            decided = await to_thread.run_sync(self._decide, list(new.values()), known, is_there)
            settled = [await self._once_settled(photo, row) for photo, row in decided.doubtful]
            rows = [*decided.new, *(each for each in settled if each is not None)]
            kept = [row for row in decided.kept if row.number not in {number for number, _ in rows}]
            await self._write(kept, rows)

    def _same(self, photo: PhotoToMake, source: str, request: str) -> None:
        """Note a problem unless a photo is simply named twice."""
        if (photo.source, to_text(photo.request)) != (source, request) and len(self._problems) < MOST_PROBLEMS:
            where = f"{photo.said_in}: " if photo.said_in else ""
            both = f"{source} and {photo.source}" if source != photo.source else f"{source}, asked for in two ways,"
            self._problems.append(f"{where}{both} would both become {photo.output}; give them different names")

    def _decide(
        self, photos: Sequence[PhotoToMake], known: dict[str, BatchPhoto], is_there: Callable[[str], bool]
    ) -> _Decided:
        decided = _Decided()
        for photo in photos:
            row = known.get(photo.output)
            if f"{self.batch.place.rstrip('/')}/{photo.output}" == photo.source:
                self._problems.append(f"{photo.source}: is a photo; it is not replaced by its own picture")
            elif row is not None and self._stays(row, photo, is_there):
                decided.kept.append(row)
                if row.state == "unknown" and self.wishes.retry_failed:
                    decided.doubtful.append((photo, row))
            else:
                number = None if row is None else row.number
                decided.new.append((number, self._planned(photo, row, there=is_there(photo.output))))
        return decided

    def _stays(self, row: BatchPhoto, photo: PhotoToMake, is_there: Callable[[str], bool]) -> bool:
        """Tell whether a photo stays as an earlier round has left it."""
        if row.state == "unknown" or (row.is_open and row.calls_sent):
            return True
        if row.state == "done":
            return self._done_stays(row, is_there)
        same = (row.source, row.request) == (photo.source, to_text(photo.request))
        if row.state == "failed":
            return same and not self.wishes.retry_failed
        if row.state == "skipped":
            return same and not self.wishes.force and (is_there(row.output) or AS_WANTED in (row.error or ""))
        return False

    def _done_stays(self, row: BatchPhoto, is_there: Callable[[str], bool]) -> bool:
        if self.wishes.force and not self.resumed:
            return False
        if not is_there(row.output) or is_there(row.temporary()):
            if self._published(row):
                return True
            self.gone += int(bool(row.calls))
            return bool(row.calls)
        return True

    def _published(self, row: BatchPhoto) -> bool:
        """Give a picture its name whose maker came to an end before it could; False: it is not there either."""
        files = self.places.files_at(self.batch.place)
        if not files.exists(row.temporary()):
            return False
        if self.known is self.written:
            with suppress(FileExistsError):
                files.rename(row.temporary(), row.output, replace=row.replace)
        return True

    def _planned(self, photo: PhotoToMake, row: BatchPhoto | None, *, there: bool) -> PlannedPhoto:
        request, billed = photo.request, self.prices.is_billed(photo.request)
        # What an earlier round has begun with leave to replace what is there still has it.
        may_replace = self.wishes.force or (row is not None and row.is_open and row.replace)
        if there and not may_replace:
            outlook = Outlook(state="skipped", error=skipped(EXISTS))
        elif billed or self.wishes.quote_all:
            outlook = self._outlook(photo)
        else:
            outlook = Outlook()
        return PlannedPhoto(
            source=photo.source,
            output=photo.output,
            request=to_text(request),
            billed=billed,
            usd_micro=self.prices.usd_micro(request) if billed else 0,
            calls_planned=outlook.calls,
            state=outlook.state,
            error=outlook.error,
            replace=may_replace,
        )

    def _outlook(self, photo: PhotoToMake) -> Outlook:
        try:
            image = self.places.read(photo.source)
        except OSError as error:
            refusal = InvalidImage(f"The file cannot be read ({reason(error)})")
            return Outlook(state="failed", error=error_to_text(refusal))
        return self.prices.outlook(replace(photo.request, image=image))

    async def _once_settled(self, photo: PhotoToMake, row: BatchPhoto) -> tuple[int, PlannedPhoto] | None:
        """Plan a photo anew that was in doubt, if the books say by now what became of its call."""
        if not await self.known.is_settled(row):
            return None
        return row.number, await to_thread.run_sync(lambda: self._planned(photo, row, there=False))

    async def _write(self, kept: Sequence[BatchPhoto], new: Sequence[tuple[int | None, PlannedPhoto]]) -> None:
        self.before.update(row.state for row in kept)
        if self.known is self.written:
            await self.written.plan(self.batch, kept=[row.number for row in kept], new=new)
            return
        rows = [(None, planned) for _, planned in new]
        await self.written.plan(self.batch, kept=(), new=[*rows, *((None, _as_planned(row)) for row in kept)])


@dataclass(slots=True)
class _Decided:
    """What becomes of some photos: those that stay as they are, and those that are planned anew."""

    kept: list[BatchPhoto] = field(default_factory=list)
    new: list[tuple[int | None, PlannedPhoto]] = field(default_factory=list)
    doubtful: list[tuple[PhotoToMake, BatchPhoto]] = field(default_factory=list)


def _as_planned(row: BatchPhoto) -> PlannedPhoto:
    """Return a photo that stays as it is, for a plan that is only looked at."""
    return PlannedPhoto(
        source=row.source,
        output=row.output,
        request=row.request,
        billed=row.billed,
        state="unknown" if row.is_open else row.state,
        error=row.error,
    )
