"""What a message says: which job, and what became of it. Never a pixel, a prompt or a file."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncrop.model.jobs import BackgroundJob

JOB_ADDRESS = "/api/v1/jobs/{}"


def payload_of(job: BackgroundJob) -> str:
    """Return the message about a job that has ended, as JSON."""
    ended = (job.ended_at or job.created_at).astimezone(UTC)
    told = {
        "id": job.id,
        "organization_id": job.organization_id,
        "provider": job.provider,
        "state": job.state,
        "error_code": None if job.error is None else json.loads(job.error)["code"],
        "address": JOB_ADDRESS.format(job.id),
    }
    timestamp = ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": f"job.{job.state}", "timestamp": timestamp, "data": told}, separators=(",", ":"))
