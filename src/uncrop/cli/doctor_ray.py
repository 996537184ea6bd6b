"""What `uncrop doctor` looks for in a Ray cluster: whether it answers, and what each of its nodes has and can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.cli.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from uncrop.model import Pixels
    from uncrop.settings import Settings
    from uncrop.workers.ray.trial import NodeTrial

AWAY = "Start it, or look at UNCROP_RAY_ADDRESS: until then, the local engine's pictures are answered with 503."
NO_PICTURE = "Install the same uncrop there as here, at the same path; ray logs on that node tells more."
OTHER_VERSIONS = "Install the same on all: pictures may differ from node to node, or fail on one."
NOT_COMPILED = "uncrop warm-up compiles it; run it there, with the same UNCROP_DATA_DIR."
FEW_CPUS = "Lower UNCROP_RAY_CPUS_PER_PICTURE, or start the node with more."
LITTLE_MEMORY = "Start the node with more, ray start --memory, or lower UNCROP_MAX_OUTPUT_MEGAPIXELS."


def check_ray(configured: Settings) -> list[Finding]:
    """Let every node of the cluster make a picture, where pictures are made on one."""
    from uncrop import bootstrap
    from uncrop.cli.trial import ADDED, SEED, trial_photo
    from uncrop.errors import ProviderUnavailable, SettingsError
    from uncrop.model import Sides

    if configured.engine != "ray":
        return []
    photo = trial_photo()
    try:
        trials = bootstrap.try_ray_nodes(configured, photo, Sides(right=ADDED), seed=SEED)
    except SettingsError as error:
        return [Finding(what="ray", state="bad", says=error.problems[0], todo="pip install 'uncrop[ray]'")]
    except ProviderUnavailable as error:
        return [Finding(what="ray", state="bad", says=error.system_message, todo=AWAY)]
    return [finding for trial in trials for finding in _of_node(trial, photo, configured)]


def _of_node(trial: NodeTrial, photo: Pixels, configured: Settings) -> Iterator[Finding]:
    """Yield what is wrong with a node; one line that nothing is, where that is so."""
    from uncrop.cli.trial import fault_of
    from uncrop.workers.ray.node import versions

    name = f"{trial.node.name} ({trial.node.id[:8]})"
    has = trial.description
    fault = trial.failure if trial.made is None else fault_of(trial.made, photo)
    if fault:
        yield Finding(what="ray", state="bad", says=f"{name}: no picture: {fault}", todo=NO_PICTURE)
    if has is not None and (others := _differences(has.versions, versions())):
        yield Finding(what="ray", state="bad", says=f"{name} has {others}", todo=OTHER_VERSIONS)
    if fault:
        return
    compiled = has is None or has.compiled
    says = (
        f"{name}: {trial.node.cpus:g} CPUs, {trial.node.memory / 1e9:.1f} GB; made a picture in {trial.seconds:.1f} s"
    )
    yield Finding(what="ray", state="ok" if compiled else "off", says=says, todo="" if compiled else NOT_COMPILED)
    yield from _what_is_too_little(trial, name, configured)


def _what_is_too_little(trial: NodeTrial, name: str, configured: Settings) -> Iterator[Finding]:
    from uncrop import engine
    from uncrop.model import Sides

    if trial.node.cpus < configured.ray_cpus_per_picture:
        says = f"{name}: fewer CPUs than the {configured.ray_cpus_per_picture} that a picture takes"
        yield Finding(what="ray", state="off", says=says, todo=FEW_CPUS)
    side = round(configured.max_output_pixels**0.5)
    most = engine.peak_bytes(side, side, 3, Sides())
    if trial.node.memory < most:
        says = f"{name}: less memory than the {most / 1e9:.1f} GB that the largest picture takes"
        yield Finding(what="ray", state="off", says=says, todo=LITTLE_MEMORY)


def _differences(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}, here {here[name]}" for name, version in there.items() if version != here[name])
