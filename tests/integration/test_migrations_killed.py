"""A migration that is killed between its statements leaves nothing, and is made whole by the next start."""

from __future__ import annotations

import json
import subprocess
import sys

# Each attempt is a process of its own, forked from one that has loaded everything and opened nothing.
ATTEMPTS = """
import asyncio, json, os, signal, sys
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine
from uncrop.store.database import upgrade_database
from uncrop.store.engine import make_engine, parse_url
from uncrop.store.tables import metadata

URL, PEPPER, AT_MOST = sys.argv[1], bytes(32), 6

async def tables():
    engine = make_engine(parse_url(URL))
    async with engine.connect() as connection:
        found = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    await engine.dispose()
    return found

def alone(work):
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(text) if text else os.WTERMSIG(status)

def killed_at(number, url=URL):
    seen = []
    def count(connection, cursor, statement, *_):
        if statement.split()[0].upper() in {"CREATE", "ALTER", "DROP", "INSERT", "UPDATE"}:
            seen.append(statement)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)
    event.listen(Engine, "before_cursor_execute", count)
    asyncio.run(upgrade_database(url, pepper=PEPPER))
    return len(seen)

total = alone(lambda: killed_at(0, "sqlite://"))
kills, left = 0, []
for number in range(1, total + 1, max(1, total // AT_MOST)):
    if alone(lambda: killed_at(number)) != signal.SIGKILL:
        break
    kills += 1
    left += alone(lambda: asyncio.run(tables()))
alone(lambda: killed_at(0))
whole = set(metadata.tables) <= set(alone(lambda: asyncio.run(tables())))
print(json.dumps({"killed": kills, "left": left, "whole": whole}))
"""


def test_it_is_made_whole_or_not_at_all(database_url: str) -> None:
    done = subprocess.run([sys.executable, "-c", ATTEMPTS, database_url], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["killed"] >= 6
    assert (found["left"], found["whole"]) == ([], True)
