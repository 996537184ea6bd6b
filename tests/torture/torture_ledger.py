"""Makes pictures without pixels until it is killed: the real ledger, store and transport, against an emulated provider.

usage: python torture_ledger.py DATABASE_URL PROVIDER_URL

Prints ``ready``, and then the id of each hold once its picture is booked, which is what a caller would be told.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from decimal import Decimal

import seeded_faults  # noqa: F401 - seeds a fault, where one is named
from uncrop.errors import UncropError
from uncrop.ledger.ledger import Ledger
from uncrop.model import Caller, PictureFacts
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Call, Raw
from uncrop.providers.registry import load_rows
from uncrop.providers.transport.addresses import Addresses
from uncrop.providers.transport.sender import Sender
from uncrop.store.database import open_store

CALLER = Caller(organization_id="org_a")
AT_ONCE = 4


async def main(database: str, provider: str) -> None:
    facts = replace(load_rows(())["clipdrop"], usd_per_credit=Decimal("0.01"))
    call = Call(method="POST", url=f"{provider}/make", body=Raw(data=b"{}", media_type="application/json"))
    addresses = Addresses.of(facts, provider)
    async with open_store(database, pepper=bytes(32)) as store, Sender() as send:
        ledger = Ledger(store.books)
        print("ready", flush=True)

        async def make_one() -> None:
            held = await ledger.hold(CALLER, facts)
            answer = await send(call, addresses, Commitment(log=held))
            said = PictureFacts(provider="clipdrop", request_id="r", credits_consumed=Decimal(len(answer.body)))
            held.note_cost(said)
            await held.finish()
            print(held.id, flush=True)

        async def make() -> None:
            while True:
                try:
                    await make_one()
                except UncropError as error:
                    print(f"refused {error.code}", flush=True)
                    return

        await asyncio.gather(*(make() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
