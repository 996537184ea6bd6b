"""What a server cannot keep, said once at its start rather than at the first request that needs it."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from uncrop.settings import Settings


def unkept_lines(configured: Settings) -> Iterator[str]:
    """Yield a line for each folder of results that cannot be written to; pictures are made all the same.

    The database says for itself that it cannot be written, and so do the engine's kernels. A bucket is not asked.
    """
    from uncrop.objects.place import FolderPlace

    answers = configured.objects_place("answers")
    if isinstance(answers, FolderPlace) and (reason := why_not_written(answers.folder)):
        yield (
            f"answers cannot be kept in {answers.folder} ({reason}), so a request with an Idempotency-Key is carried "
            "out once, but not answered again; UNCROP_OBJECTS_URL names a bucket, UNCROP_DATA_DIR another folder"
        )
    if line := unkept_jobs_line(configured):
        yield line


def unkept_jobs_line(configured: Settings) -> str | None:
    """Return a line where the files of jobs cannot be kept."""
    from uncrop.jobs.files import KIND
    from uncrop.objects.place import FolderPlace

    jobs = configured.objects_place(KIND)
    if not isinstance(jobs, FolderPlace):
        return None
    reason = why_not_written(jobs.folder)
    return reason and (
        f"the files of jobs cannot be kept in {jobs.folder} ({reason}), so no job is taken; "
        "UNCROP_OBJECTS_URL names a bucket, UNCROP_DATA_DIR another folder"
    )


def why_not_written(folder: Path) -> str | None:
    """Try whether files can be written to a folder, which is made if need be, and return why not."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return (error.strerror or "unknown reason").lower()
    return None
