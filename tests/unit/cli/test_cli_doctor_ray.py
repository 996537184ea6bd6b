"""What `uncrop doctor` tells of a Ray cluster; nobody needs Ray here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from uncrop import bootstrap, settings
from uncrop.cli import doctor, doctor_ray, trial
from uncrop.errors import ProviderUnavailable
from uncrop.workers.ray import node
from uncrop.workers.ray.messages import Node
from uncrop.workers.ray.node import Description
from uncrop.workers.ray.trial import NodeTrial

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.model import Pixels, Sides

VERSIONS = {"Python": "3.11.2", "uncrop": "1.0", "ray": "2.60.0"}
GOOD = NodeTrial(
    node=Node(id="0123456789", name="worker-1", cpus=8.0, memory=12_300_000_000),
    description=Description(versions=VERSIONS, compiled=True),
    seconds=0.84,
)


@pytest.fixture
def on_ray(tmp_path: Path) -> settings.Settings:
    return settings.load(data_dir=tmp_path, engine="ray", ray_address="head:6379", _env_file=None)


def found(monkeypatch: pytest.MonkeyPatch, trial_of_node: NodeTrial, *, is_grey: bool = False) -> None:
    """Let the cluster have one node, which makes the trial's picture where it makes one."""

    def try_nodes(_settings: object, photo: Pixels, sides: Sides, *, seed: int) -> list[NodeTrial]:
        made = np.pad(photo, ((0, 0), (0, sides.right), (0, 0)), "reflect")
        return [trial_of_node if trial_of_node.failure else replace(trial_of_node, made=made * 0 if is_grey else made)]

    monkeypatch.setattr(bootstrap, "try_ray_nodes", try_nodes)
    monkeypatch.setattr(node, "versions", lambda: VERSIONS)


def test_without_ray_nothing_is_told_of_it(tmp_path: Path) -> None:
    assert doctor_ray.check_ray(settings.load(data_dir=tmp_path, _env_file=None)) == []
    assert doctor_ray.check_ray in doctor.CHECKS


def test_a_node_that_makes_a_picture_has_one_line(monkeypatch: pytest.MonkeyPatch, on_ray: Any) -> None:
    found(monkeypatch, GOOD)
    (finding,) = doctor_ray.check_ray(on_ray)
    says = "worker-1 (01234567): 8 CPUs, 12.3 GB; made a picture in 0.8 s"
    assert (finding.what, finding.state, finding.says, finding.todo) == ("ray", "ok", says, "")


def test_a_node_that_makes_another_picture_is_found(monkeypatch: pytest.MonkeyPatch, on_ray: Any) -> None:
    found(monkeypatch, GOOD, is_grey=True)
    (finding,) = doctor_ray.check_ray(on_ray)
    assert finding.state == "bad"
    assert finding.says == "worker-1 (01234567): no picture: changed the photo's own pixels"


def test_a_node_that_makes_none_is_found_with_its_versions(monkeypatch: pytest.MonkeyPatch, on_ray: Any) -> None:
    other = Description(versions={**VERSIONS, "uncrop": "0.9", "Python": "3.11.1"}, compiled=True)
    found(monkeypatch, replace(GOOD, description=other, failure="The engine failed"))
    failed, versions = doctor_ray.check_ray(on_ray)
    assert (failed.state, failed.says) == ("bad", "worker-1 (01234567): no picture: The engine failed")
    assert versions.state == "bad"
    assert versions.says == "worker-1 (01234567) has Python 3.11.1, here 3.11.2, uncrop 0.9, here 1.0"
    found(monkeypatch, replace(GOOD, description=None, failure="The engine failed"))
    assert len(doctor_ray.check_ray(on_ray)) == 1


def test_a_node_without_compiled_kernels_is_told(monkeypatch: pytest.MonkeyPatch, on_ray: Any) -> None:
    found(monkeypatch, replace(GOOD, description=Description(versions=VERSIONS, compiled=False)))
    (finding,) = doctor_ray.check_ray(on_ray)
    assert finding.state == "off"
    assert finding.todo.startswith("uncrop warm-up compiles it")


def test_a_node_that_is_too_small_is_told(monkeypatch: pytest.MonkeyPatch, on_ray: Any) -> None:
    small = replace(GOOD, node=replace(GOOD.node, cpus=1, memory=1_000_000_000))
    found(monkeypatch, small)
    _, memory = doctor_ray.check_ray(on_ray)
    assert memory.says == "worker-1 (01234567): less memory than the 1.2 GB that the largest picture takes"
    _, cpus, _ = doctor_ray.check_ray(on_ray.model_copy(update={"ray_cpus_per_picture": 2}))
    assert cpus.says == "worker-1 (01234567): fewer CPUs than the 2 that a picture takes"
    assert (cpus.state, memory.state) == ("off", "off")


def test_a_cluster_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch, on_ray: Any) -> None:
    def away(*_arguments: object, seed: int) -> list[NodeTrial]:
        raise ProviderUnavailable(system_message="It is away")

    monkeypatch.setattr(bootstrap, "try_ray_nodes", away)
    (finding,) = doctor_ray.check_ray(on_ray)
    assert (finding.state, finding.says, finding.todo) == ("bad", "It is away", doctor_ray.AWAY)


def test_without_the_package_it_is_said_what_brings_it(monkeypatch: pytest.MonkeyPatch, on_ray: Any) -> None:
    monkeypatch.setattr(bootstrap, "find_spec", lambda _name: None)
    (finding,) = doctor_ray.check_ray(on_ray)
    assert finding.says == "UNCROP_ENGINE: Ray needs a package that comes with uncrop[ray]"
    assert finding.todo == "pip install 'uncrop[ray]'"


def test_the_trial_photo_can_be_judged_anywhere() -> None:
    photo = trial.trial_photo()
    assert trial.fault_of(photo, photo) == "made a picture of the wrong size"
