from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from batch_bench import Bench, FakePictures
from uncrop.store.database import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "uncrop.db"

    async def make() -> None:
        async with open_store(f"sqlite+aiosqlite:///{path}", pepper=bytes(32)):
            pass

    asyncio.run(make())
    return path


@pytest.fixture
async def bench(tmp_path: Path, migrated: Path) -> AsyncIterator[Bench]:
    shutil.copy(migrated, tmp_path / "uncrop.db")
    async with open_store(f"sqlite+aiosqlite:///{tmp_path}/uncrop.db", pepper=bytes(32)) as store:
        await store.organizations.ensure("org_a")
        batch, _ = await store.batches.begin(str(tmp_path / "out"), "org_a")
        yield Bench(store=store, folder=tmp_path, batch=batch, pictures=FakePictures(store))
