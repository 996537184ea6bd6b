"""Clients that leave, against the real service: a billed call is booked, what was not sent is not."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from fixtures_http import ask, clipdrop_form, send
from fixtures_server import real, wait_until
from uncrop.server.form import BodyLimits
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.store.transactions import Transactions

FORM = clipdrop_form(photo_jpeg(64, 48))


def test_a_billed_call_is_booked_although_nobody_takes_its_picture(tmp_path: Path) -> None:
    release = threading.Event()
    with real(tmp_path) as house:
        house.clipdrop.script(outcomes.hold(release))
        leaving = send(house.url, FORM, key=house.key)
        house.clipdrop.wait_for_calls(1)
        leaving.close()
        wait_until(lambda: not house.server.connections)
        assert house.booked() == 0
        release.set()
        wait_until(lambda: house.booked() == 1)
        wait_until(lambda: house.server.service.capacity.slots.running == 0)
        assert ask(house.url, FORM, key=house.key).status_code == 200
        assert (house.calls(), house.booked()) == (2, 2)


def test_what_waits_for_a_slot_is_not_sent_when_its_client_leaves(tmp_path: Path) -> None:
    release = threading.Event()
    settings = {"max_running": 1, "max_waiting": 5}
    with real(tmp_path, settings=settings, limits=BodyLimits()) as house:
        house.clipdrop.script(outcomes.hold(release))
        first = threading.Thread(target=ask, args=(house.url, FORM), kwargs={"key": house.key})
        first.start()
        house.clipdrop.wait_for_calls(1)
        leaving = send(house.url, FORM, key=house.key)
        wait_until(lambda: house.server.service.capacity.slots.waiting == 1)
        leaving.close()
        wait_until(lambda: house.server.service.capacity.slots.waiting == 0)
        release.set()
        first.join()
        wait_until(lambda: house.server.service.capacity.slots.running == 0)
        assert (house.calls(), house.booked()) == (1, 1)


def test_a_server_that_is_stopped_finishes_what_is_billed(tmp_path: Path) -> None:
    release = threading.Event()
    with real(tmp_path) as house:
        house.clipdrop.script(outcomes.hold(release))
        leaving = send(house.url, FORM, key=house.key)
        house.clipdrop.wait_for_calls(1)
        leaving.close()
        threading.Timer(0.3, release.set).start()
    with real(tmp_path, key=False) as again:
        assert again.booked() == 1


def test_who_leaves_while_the_database_is_busy_is_not_waited_for(tmp_path: Path) -> None:
    """Clients that ask again and again and leave at once are not ahead of one that stays."""
    release, held = threading.Event(), threading.Event()

    async def hold(_connection: object) -> None:
        held.set()
        await asyncio.to_thread(release.wait)

    with real(tmp_path) as house:
        transactions = house.server.service.store.keys._transactions
        holding = asyncio.run_coroutine_threadsafe(transactions.read(hold), house.server.loop)
        assert held.wait(60)
        leaving = [send(house.url, FORM, key=house.key) for _ in range(20)]
        wait_until(lambda: waiting_for(transactions) == 20)
        for each in leaving:
            each.close()
        wait_until(lambda: waiting_for(transactions) == 0)
        release.set()
        holding.result(60)
        assert ask(house.url, FORM, key=house.key).status_code == 200
        assert (house.calls(), house.booked()) == (1, 1)


def waiting_for(transactions: Transactions) -> int:
    return len(transactions._turns._waiting)
