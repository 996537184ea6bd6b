"""Where the files of jobs lie: photo, mask, and the answer once there is one."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from anyio import to_thread

from uncrop.errors import InternalError, ServerBusy

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from uncrop.objects.objects import Objects

IMAGE, MASK = "image", "mask"
KIND = "jobs"
"""Of the place of their objects, see ``Settings.objects_place``."""


def earlier_folder_of(data_dir: Path) -> Path:
    """Return the folder in which an earlier version kept the files of jobs."""
    return data_dir / "jobs"


def result_name(attempt: int) -> str:
    """Return the name of the file of an attempt's answer, which no other attempt writes to."""
    return f"result-{attempt}"


class JobFiles:
    """The files of all jobs, as objects in a folder for each. What was written stays, also after a power cut.

    Parameters
    ----------
    objects
        Where they lie.
    earlier
        A folder with a folder for each job, in which an earlier version has kept them; it is read and emptied.
    """

    def __init__(self, objects: Objects, earlier: Path) -> None:
        self._objects = objects
        self._earlier = earlier

    async def write(self, job_id: str, name: str, data: bytes) -> None:
        """Write a file, whole or not at all.

        Raises
        ------
        ServerBusy
            It cannot be written.
        """
        await self._objects.write(job_id, name, data)

    async def read(self, job_id: str, name: str) -> bytes:
        """Return a file's bytes.

        Raises
        ------
        InternalError
            It is not there.
        ServerBusy
            It cannot be read.
        """
        data = await self._objects.read(job_id, name)
        if data is None:
            data = await to_thread.run_sync(self._read_earlier, job_id, name)
        return data

    async def delete(self, job_id: str) -> None:
        """Delete all files of a job, if there are any.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        await self._objects.delete_folder(job_id)
        await to_thread.run_sync(self._delete_earlier, job_id)

    async def jobs_older_than(self, moment: datetime) -> frozenset[str]:
        """Return the ids of jobs of which some file was written before a moment.

        Raises
        ------
        ServerBusy
            The place cannot be used.
        """
        return await self._objects.folders_older_than(moment)

    def _read_earlier(self, job_id: str, name: str) -> bytes:
        try:
            return (self._earlier / job_id / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InternalError(system_message="A job's file is not there") from error
        except OSError as error:
            raise ServerBusy(system_message="A job's file cannot be read") from error

    def _delete_earlier(self, job_id: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            shutil.rmtree(self._earlier / job_id)
