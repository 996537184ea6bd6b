"""The setting of webhooks: the operator's own networks."""

from __future__ import annotations

import pytest

from uncrop import settings
from uncrop.errors import SettingsError


@pytest.mark.parametrize(
    ("listed", "networks"),
    [("", ()), ("127.0.0.1, 10.0.0.0/8,", ("127.0.0.1/32", "10.0.0.0/8")), ("::1", ("::1/128",))],
)
def test_networks_that_webhooks_may_be_sent_into(listed: str, networks: tuple[str, ...]) -> None:
    assert (
        tuple(
            str(network) for network in settings.load(_env_file=None, webhook_allowed_networks=listed).webhook_networks
        )
        == networks
    )


@pytest.mark.parametrize("listed", ["localhost", "10.0.0.1/8", "10.0.0.0/8 127.0.0.1", "10.0.0.0/33", "*"])
def test_what_is_no_network_is_told_by_its_place(listed: str) -> None:
    with pytest.raises(SettingsError, match=r"UNCROP_WEBHOOK_ALLOWED_NETWORKS: entry 2 is no network"):
        settings.load(_env_file=None, webhook_allowed_networks=f"127.0.0.1,{listed}")
