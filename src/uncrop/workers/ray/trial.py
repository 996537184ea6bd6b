"""A trial of a cluster: every node tells what it has, and makes a picture."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from uncrop.errors import UncropError

if TYPE_CHECKING:
    from uncrop.model import Pixels, Sides
    from uncrop.workers.ray.messages import Node
    from uncrop.workers.ray.node import Description
    from uncrop.workers.ray.runner import RayRunner


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTrial:
    """What was found of one node.

    Attributes
    ----------
    node
        Which it is.
    description
        What it has; ``None`` where it could not tell.
    made
        The picture that it has made; ``None`` where it made none.
    seconds
        That the picture took, with the way there and back.
    failure
        Why something is missing; empty where nothing is.
    """

    node: Node
    description: Description | None = None
    made: Pixels | None = field(default=None, repr=False)
    seconds: float = 0.0
    failure: str = ""


async def try_nodes(runner: RayRunner, photo: Pixels, sides: Sides, *, seed: int) -> list[NodeTrial]:
    """Let one node after the other tell what it has, and extend a photo.

    Raises
    ------
    ProviderUnavailable
        The cluster is away.
    """
    return [await _try(runner, node, photo, sides, seed) for node in await runner.nodes()]


async def _try(runner: RayRunner, node: Node, photo: Pixels, sides: Sides, seed: int) -> NodeTrial:
    description = None
    try:
        description = await runner.describe(node.id)
        began = time.monotonic()
        made = (await runner.extend(photo, sides, seed=seed, quality="standard", node=node.id)).pixels
    except UncropError as error:
        return NodeTrial(node=node, description=description, failure=error.system_message)
    return NodeTrial(node=node, description=description, made=made, seconds=time.monotonic() - began)
