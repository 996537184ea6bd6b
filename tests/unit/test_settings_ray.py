from pathlib import Path

import pytest

from uncrop import settings
from uncrop.errors import SettingsError


@pytest.fixture(autouse=True)
def _no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_with_ray_as_many_pictures_are_sent_at_once_as_run() -> None:
    assert settings.load(engine_workers=3).engine_at_once == 3
    there = settings.load(engine="ray", ray_address="head:6379", max_running=9)
    assert (there.engine_at_once, there.max_pixel_bytes) == (9, 4_000_000_000)
    assert settings.load(engine="ray", ray_address="head:6379", engine_workers=3).engine_at_once == 3


@pytest.mark.parametrize(
    ("address", "head"),
    [
        ("head:6379", ("head", 6379)),
        ("10.0.0.7:6379", ("10.0.0.7", 6379)),
        ("[fd00::1]:6379", ("fd00::1", 6379)),
    ],
)
def test_the_head_of_a_cluster_is_named_by_host_and_port(address: str, head: tuple[str, int]) -> None:
    assert settings.load(ray_address=address).ray_head == head


@pytest.mark.parametrize(
    "address",
    [
        *(
            "head",
            "head:",
            ":6379",
            "head:port",
            "head:99999",
            "auto",
            "ray://head:10001",
            "head:6379/a",
            "[fd00::1:6379",
        ),
        *("user@head:6379", "head:6379?a", "head:6379#a"),
    ],
)
def test_what_is_no_head_is_refused(address: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings.load(ray_address=address)
    says = "UNCROP_RAY_ADDRESS: must be host:port, as of the head's `ray start --head --port=6379`"
    assert refused.value.problems == [says]


def test_an_engine_on_ray_needs_an_address() -> None:
    with pytest.raises(SettingsError) as refused:
        settings.load(engine="ray")
    assert refused.value.problems == ["UNCROP_RAY_ADDRESS: must be set where UNCROP_ENGINE is ray"]
    assert settings.load().ray_address == ""
