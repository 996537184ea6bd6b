from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fixtures_server import FakeUncropper
from job_bench import Bench
from uncrop import settings as configuration
from uncrop.bootstrap import open_service
from uncrop.jobs.files import JobFiles
from uncrop.jobs.opening import open_jobs
from uncrop.objects.objects import Objects
from uncrop.objects.place import FolderPlace
from uncrop.server.app import create_app
from uncrop.server.jobs_wire import render
from uncrop.store.database import open_store
from uncrop.workers.decoding.decoder import INLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from uncrop.jobs.background import BackgroundJobs
    from uncrop.service.service import Service


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
        key = await store.keys.create("org_a")
        objects = Objects(FolderPlace(folder=tmp_path / "objects" / "jobs"))
        yield Bench(store=store, files=JobFiles(objects, tmp_path / "jobs"), key_id=key.id)


@dataclass(kw_only=True)
class Api:
    """A server's app with its jobs, in the test's own loop; pictures are made by a fake."""

    service: Service
    jobs: BackgroundJobs
    uncropper: FakeUncropper
    http: httpx2.AsyncClient
    key: str

    async def submit(self, photo: bytes, *, key: str | None = None, **sent: Any) -> httpx2.Response:
        headers = sent.pop("headers", {})
        fields = {"provider": "local", "organization_id": "org_a", "extend_left": "8", **sent}
        return await self.http.post(
            "/api/v1/jobs",
            data=fields,
            files={"image_file": ("photo.png", photo)},
            headers={"X-API-Key": key or self.key, **headers},
        )

    async def get(self, path: str = "", **options: Any) -> httpx2.Response:
        return await self.http.get(f"/api/v1/jobs{path}", headers={"X-API-Key": self.key}, **options)

    async def ended(self, job_id: str) -> dict[str, Any]:
        """Wait until a job has ended, and return what is told of it."""
        while True:
            told: dict[str, Any] = (await self.get(f"/{job_id}")).json()
            if told["ended_at"] is not None:
                return told
            await self.service.tasks.drain()


@pytest.fixture
def open_api(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Api]]:
    """Return what opens a server's app with its jobs; several times one after the other, on one database."""

    @asynccontextmanager
    async def opened(url: str, **settings: Any) -> AsyncIterator[Api]:
        configured = configuration.load(_env_file=None, data_dir=tmp_path, database_url=url, **settings)
        async with AsyncExitStack() as stack:
            service = await stack.enter_async_context(open_service(configured, decoder=INLINE))
            uncropper = FakeUncropper()
            service = replace(service, uncropper=uncropper)  # type: ignore[arg-type]
            jobs = await stack.enter_async_context(open_jobs(service, render, lost=lambda: None))
            app = create_app(service, jobs=jobs)
            http = await stack.enter_async_context(
                httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://server")
            )
            key = await service.store.keys.create("org_a")
            yield Api(service=service, jobs=jobs, uncropper=uncropper, http=http, key=key.key)

    return opened
