"""Whether requests can be served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from uncrop import engine
from uncrop.errors import InternalError

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.store.database import Store
    from uncrop.workers.engine_runner import ProcessRunner

_log = structlog.stdlib.get_logger("uncrop.service")


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """What was found.

    Attributes
    ----------
    database
        It answers and has the tables of this version.
    engine
        Its kernels are compiled, and its first process is warm. Kernels that no folder keeps are in that process.
    """

    database: bool
    engine: bool

    def checks(self) -> dict[str, bool]:
        """Return each check by its name."""
        return {"database": self.database, "engine": self.engine}


class ReadinessChecks:
    """Looks whenever it is asked, but remembers what cannot change back."""

    def __init__(self) -> None:
        self._compiled = False

    async def look(self, store: Store, runner: ProcessRunner, kernels: Path) -> Readiness:
        """Look at a store, and at an engine with its folder of kernels."""
        # Once compiled, kernels stay; looking means reading all of the engine's sources.
        self._compiled = self._compiled or await to_thread.run_sync(engine.is_compiled, kernels)
        return Readiness(database=await _answers(store), engine=(self._compiled or runner.warm) and not runner.warming)


async def _answers(store: Store) -> bool:
    try:
        await store.ping()
    except InternalError as error:
        _log.warning("database not ready", reason=error.system_message)
        return False
    return True
