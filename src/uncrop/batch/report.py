"""The report of a batch: a row a photo, as CSV and as JSON, with what they add up to; written row by row."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

from anyio import to_thread

from uncrop.batch.sources import BUCKET

if TYPE_CHECKING:
    from _csv import Writer
    from collections.abc import Sequence

    from uncrop.model.batches import Batch, BatchPhoto
    from uncrop.objects.trees import Files
    from uncrop.store.batches import Batches, Sums

CSV, JSON = "report.csv", "report.json"
COLUMNS = (
    *("source", "output", "status", "code", "message", "provider", "size", "seed", "confidence", "calls", "usd"),
    *("sha256", "bytes", "ms"),
)
AT_A_TIME = 500
_PER_USD = 1_000_000


def usd(micro: int | None) -> str | None:
    """Write millionths of a dollar as dollars, exactly; ``None`` stays what it is."""
    return None if micro is None else f"{Decimal(micro) / _PER_USD:f}"


def row_of(photo: BatchPhoto) -> dict[str, Any]:
    """Return what the report says of a photo, by column, in their order."""
    why = {} if photo.error is None else json.loads(photo.error)
    return {
        "source": photo.source,
        "output": photo.output,
        "status": photo.state,
        "code": why.get("code"),
        "message": why.get("message"),
        "provider": photo.provider,
        "size": None if photo.width is None else f"{photo.width}x{photo.height}",
        "seed": photo.seed,
        "confidence": None if photo.confidence is None else round(photo.confidence, 4),
        "calls": photo.calls,
        "usd": usd(photo.usd_micro),
        "sha256": photo.sha256,
        "bytes": photo.bytes,
        "ms": photo.milliseconds,
    }


def sums_of(sums: Sums) -> dict[str, Any]:
    """Return what the report says of all photos together."""
    states: dict[str, int] = dict(sums.states.items())
    return {"photos": sums.photos, **states, "calls": sums.calls, "usd": usd(sums.usd_micro)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Writes the report into the batch's place.

    Attributes
    ----------
    batches
        Where the photos are.
    files
        Of the batch's place.
    """

    batches: Batches
    files: Files

    async def write(self, batch: Batch) -> Sums:
        """Write both files, whole or not at all, and return what they add up to.

        Raises
        ------
        OSError
            They cannot be written.
        ServerBusy
            The database or the bucket cannot be used at the moment.
        """
        sums = await self.batches.sums(batch)
        with tempfile.TemporaryFile() as table, tempfile.TemporaryFile() as tree:
            await self._rows(batch, sums, table, tree)
            for name, file in ((CSV, table), (JSON, tree)):
                await to_thread.run_sync(self._publish, name, file, batch)
        return sums

    async def _rows(self, batch: Batch, sums: Sums, table: IO[bytes], tree: IO[bytes]) -> None:
        # Bytes of names that are no UTF-8 are written as they are.
        text = io.TextIOWrapper(table, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        head = {"batch": batch.id, "place": batch.place, "sums": sums_of(sums)}
        tree.write(json.dumps(head, indent=1)[:-2].encode() + b',\n "photos": [')
        after = 0
        while photos := await self.batches.page(batch, after=after, most=AT_A_TIME):
            await to_thread.run_sync(_write, photos, writer, tree, after == 0)
            after = photos[-1].number
        tree.write(b"\n ]\n}\n")
        text.detach()

    def _publish(self, name: str, file: IO[bytes], batch: Batch) -> None:
        file.seek(0)
        temporary = f".uncrop-{batch.id[:8]}-{name}.part"
        if batch.place.startswith(BUCKET):  # which writes all or nothing by itself
            self.files.write(name, file)
            return
        self.files.write(temporary, file)
        self.files.rename(temporary, name, replace=True)


def _write(photos: Sequence[BatchPhoto], writer: Writer, tree: IO[bytes], first: bool) -> None:
    for number, photo in enumerate(photos):
        row = row_of(photo)
        writer.writerow(row.values())
        tree.write((b"\n  " if first and not number else b",\n  ") + json.dumps(row).encode())
