"""What `uncrop doctor` looks for in PostgreSQL and Redis, beside that they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.cli.finding import Finding

if TYPE_CHECKING:
    from uncrop.settings import Settings
    from uncrop.store.database import Store


def check_durability(configured: Settings) -> list[Finding]:
    """Look whether PostgreSQL keeps what it has committed; what else is wrong with it, another check tells."""
    import asyncio

    from uncrop.bootstrap import open_store_from
    from uncrop.errors import UncropError

    async def look() -> tuple[str, ...]:
        async with open_store_from(configured) as store:
            return await store.what_may_be_lost()

    try:
        risky = asyncio.run(look())
    except (ImportError, UncropError):
        return []
    todo = "What was charged may be forgotten after a power cut; set them to on in postgresql.conf."
    return (
        [Finding(what="database", state="bad", says=f"PostgreSQL has {', '.join(risky)}", todo=todo)] if risky else []
    )


def check_redis(configured: Settings) -> list[Finding]:
    """Note a hit in Redis as a server does, where one is named."""
    from uncrop import bootstrap
    from uncrop.errors import SettingsError

    if configured.redis_url is None:
        return []
    try:
        bootstrap.check_redis(configured)
    except SettingsError as error:
        todo = "Start it, or look at UNCROP_REDIS_URL: no server starts without it."
        return [Finding(what="redis", state="bad", says=error.problems[0], todo=todo)]
    return [Finding(what="redis", state="ok", says="counts rate limits for all servers that name it")]


async def look_at_webhooks(store: Store) -> list[Finding]:
    """Tell of webhooks that are disabled, fail, or cannot sign; nothing where there is none."""
    webhooks = await store.webhooks.page()
    if not webhooks:
        return []
    if lost := await store.webhooks.lost():
        says = f"of {lost} the secret cannot be decrypted"
        todo = "Add the secret that it was encrypted with to UNCROP_ENCRYPTION_KEY, or rotate it."
        return [Finding(what="webhooks", state="bad", says=says, todo=todo)]
    disabled = sum(not each.enabled and each.disabled_reason != "by_hand" for each in webhooks)
    failing = sum(each.enabled and each.failing_since is not None for each in webhooks)
    if disabled or failing:
        says = f"of {len(webhooks)}, {disabled} are disabled for taking no messages, {failing} are failing now"
        todo = "uncrop webhooks list shows which, uncrop webhooks change ID --enable sends again."
        return [Finding(what="webhooks", state="off", says=says, todo=todo)]
    return [Finding(what="webhooks", state="ok", says=f"{len(webhooks)}, none of them fails")]


def check_workers(configured: Settings) -> list[Finding]:
    """Look for jobs whose worker died and was not started again; what else is wrong, other checks tell."""
    import asyncio

    from uncrop.bootstrap import open_store_from
    from uncrop.errors import UncropError

    async def look() -> dict[int, int]:
        from uncrop.jobs.opening import jobs_of_dead_workers

        async with open_store_from(configured) as store:
            return await jobs_of_dead_workers(configured, store)

    try:
        left = asyncio.run(look())
    except (ImportError, UncropError):
        return []
    if not left:
        return []
    workers = ", ".join(f"{number}: {count}" for number, count in left.items())
    todo = "Start as many workers as there were; who is started next has the first number that is free, and its jobs."
    says = f"{sum(left.values())} jobs belong to workers that died (worker's number: jobs; {workers})"
    return [Finding(what="jobs", state="bad", says=says, todo=todo)]
