"""The entry of the process that is connected to a Ray cluster for a server."""

from __future__ import annotations

import logging
import os
import sys

from uncrop.workers.ray.link import Link, leave_in_time


def main(address: str) -> None:
    """Work on the cluster at an address; orders come in on standard input."""
    # Whatever is printed must not stand between the replies.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is told to others
    import ray
    import ray.util.scheduling_strategies

    def connect() -> None:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, include_dashboard=False)

    Link(ray, sys.stdin.buffer, replies).run(connect, leave_in_time)
