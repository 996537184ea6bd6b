"""For whom an organization's batches are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.model import Caller, ProviderKeys

if TYPE_CHECKING:
    from uncrop.store.database import Store


async def caller_of(store: Store, organization_id: str) -> Caller:
    """Return for whom an organization's batch is made; nobody's key plays a part in it."""
    organization = await store.organizations.get(organization_id)
    own = await store.provider_keys.of(organization_id)
    return Caller(
        organization_id=organization_id,
        provider_keys=ProviderKeys(own=own, may_use_servers=organization.may_use_server_keys),
        policy=organization.policy,
    )
