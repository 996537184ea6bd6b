"""Jobs to admit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uncrop.model import ImageHeader, Job, Metadata, OpenedFile, Placement, Rect, Sides, UncropRequest
from uncrop.providers.clipdrop.facts import FACTS


def make_job(organization_id: str | None = "org_a", requests_per_minute: int | None = None) -> Job:
    """Make a job of 16x16 pixels for a provider called clipdrop."""
    whole = Rect(x=0, y=0, width=16, height=16)
    header = ImageHeader(
        format="JPEG",
        width=16,
        height=16,
        channels=3,
        bits=8,
        mode="RGB",
        orientation=1,
        jpeg=None,
        metadata=Metadata(),
    )
    return Job(
        request=UncropRequest(provider="clipdrop", image=b"", organization_id=organization_id),
        provider=replace(FACTS, requests_per_minute=requests_per_minute),
        photo_file=OpenedFile(data=b"", header=header, layout=None),
        placement=Placement(width=16, height=16, source=whole, kept=whole),
        sides=Sides(),
        output_size=(16, 16),
        seed=None,
        quality="standard",
        answer_format="JPEG",
    )


@pytest.fixture
def job() -> Job:
    return make_job()


@pytest.fixture
def limited_job() -> Job:
    """A job whose provider takes one request a minute."""
    return make_job(requests_per_minute=1)


@pytest.fixture
def anonymous_job() -> Job:
    """A job that names no organization, as on the command line."""
    return make_job(organization_id=None)
