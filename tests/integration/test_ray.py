"""The engine on a real Ray cluster of two nodes: the same bytes, and what befalls machines.

All of it is one run of ``ray_trial.py`` in a network and process namespace of its own, which has loopback alone and
ends with all that was started in it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ENDS_WITHIN_S = 900
NAMESPACE = ["unshare", "-n", "-p", "--fork", "--mount-proc", "--kill-child"]
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(ENDS_WITHIN_S + 60)]
SAME = ["same"] * 8


@pytest.fixture(scope="module")
def found(kernels: Path) -> Iterator[dict[str, Any]]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed; scripts/test-ray installs it, and runs these tests")
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make a network of their own")
    # Sockets lie in this folder, whose paths must be short.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    (folder / "data").mkdir()
    (folder / "data" / "kernels").symlink_to(kernels)
    (folder / "home").mkdir()
    (folder / "photo.jpg").write_bytes(photo_jpeg(160, 120))
    environment = {
        **os.environ,
        "HOME": str(folder / "home"),
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("src", "tests")),
    }
    script = 'ip link set lo up && exec "$@"'
    trial = [sys.executable, str(Path(__file__).with_name("ray_trial.py")), str(folder)]
    try:
        done = subprocess.run(
            [*NAMESPACE, "sh", "-c", script, "sh", *trial],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=ENDS_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0
        yield json.loads(done.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_pictures_are_made_on_both_nodes_with_the_same_bytes_as_without_ray(found: dict[str, Any]) -> None:
    assert found["first picture"]["found"] == "same"
    assert found["on each node"]["found"] == [True, True]
    assert found["pictures on two nodes"]["found"] == SAME


def test_a_node_that_is_powered_off_costs_no_picture(found: dict[str, Any]) -> None:
    assert found["a node is powered off"]["found"]["outcomes"] == SAME


def test_on_a_node_that_hangs_our_deadline_ends_the_request(found: dict[str, Any]) -> None:
    hanging = found["a node hangs"]["found"]
    assert set(hanging["outcomes"]) == {"same", "PROVIDER_TIMEOUT"}
    assert hanging["seconds"] < 60  # 8 and a grace of 2, on a busy machine; by itself it would be minutes
    assert found["after that"]["found"] == SAME


def test_who_cancels_frees_the_nodes(found: dict[str, Any]) -> None:
    cancelled = found["cancelled"]["found"]
    assert (cancelled["workers"], cancelled["made"]) == (2, ["same", "same"])


def test_a_cluster_that_is_away_is_told_and_one_that_is_back_is_used(found: dict[str, Any]) -> None:
    assert found["before there is a cluster"]["found"] == "PROVIDER_UNAVAILABLE"
    gone = found["the cluster is gone"]["found"]
    assert (gone["new"], gone["running"]) == ("PROVIDER_UNAVAILABLE", "PROVIDER_UNAVAILABLE")
    assert found["it is back"]["found"] == "same"


def test_the_command_line_makes_the_same_file_and_looks_at_the_nodes(found: dict[str, Any]) -> None:
    assert (found["extend on ray"]["code"], found["same files"]) == (0, True)
    lines = [line for line in found["doctor"]["out"].splitlines() if " ray " in line]
    assert len(lines) == 2
    assert all(line.startswith("ok ") and "made a picture in" in line for line in lines)
    assert found["doctor"]["code"] == 0


def test_no_link_outlives_its_server(found: dict[str, Any]) -> None:
    assert found["links left"] == 0
