"""Which engine is opened: every way in computes on a cluster where the settings say so. Nobody needs Ray here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from processes import free_port
from uncrop import bootstrap, settings
from uncrop.errors import ProviderUnavailable, SettingsError
from uncrop.model import Sides, UncropRequest
from uncrop.testing.pictures import photo_jpeg
from uncrop.workers.decoding.decoder import INLINE
from uncrop.workers.ray.runner import RayRunner

REQUEST = UncropRequest(provider="local", image=photo_jpeg(32, 32), sides=Sides(left=8), seed=1)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Settings of a cluster that is not there."""
    monkeypatch.setattr(bootstrap, "find_spec", lambda _name: object())
    return settings.load(
        data_dir=tmp_path, engine="ray", ray_address=f"127.0.0.1:{free_port()}", max_running=5, _env_file=None
    )


async def test_python_is_told_at_once_that_the_cluster_is_away(away: Any) -> None:
    async with bootstrap.open_uncropper(away) as uncropper:
        with pytest.raises(ProviderUnavailable, match="unavailable"):
            await uncropper.run(REQUEST)


def test_so_is_one_picture(away: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        bootstrap.extend_once(REQUEST, away)


def test_so_is_who_looks_at_its_nodes(away: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        bootstrap.try_ray_nodes(away, Any, Sides(left=8), seed=1)


async def test_a_server_sends_as_many_pictures_as_it_runs(away: Any) -> None:
    async with bootstrap.open_service(away, decoder=INLINE) as service:
        assert isinstance(service.runner, RayRunner)
        with pytest.raises(ProviderUnavailable):
            await service.runner.warm_up()
        assert not service.runner.warming
        assert service.capacity.engine is not None
        assert service.capacity.engine._total == 6


async def test_without_the_package_nothing_is_opened(away: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError) as refused:
        async with bootstrap.open_uncropper(away):
            pass
    assert refused.value.problems == ["UNCROP_ENGINE: Ray needs a package that comes with uncrop[ray]"]
