"""Every block of code in the pages does what the page says: shell lines, Python, JSON.

Lines that call ``./uncrop`` alone run in this process, since starting a new one takes a second each; all others run in
a real shell. A server with emulated providers stands behind ``http://127.0.0.1:8000``.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
from blocks import PAGES, ROOT, Block, blocks_of, is_as_promised
from typer.testing import CliRunner

from fixtures_server import ORGANIZATION, Real, real
from uncrop.cli import app
from uncrop.testing.emulators import emulated, emulator_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures_postgres import PostgresServer
    from fixtures_redis import RedisServer

SERVER = "http://127.0.0.1:8000"
LONG_RUNNING = {"serve", "emulate"}
# What this machine lacks, and where the same is tried.
ELSEWHERE = {
    ("README.md", "scripts/test"): "this is a part of it",
    ("docs/how-to/deploy.md", "python3 -m venv /opt/uncrop/venv"): "the steps of scripts/try-image, and test_deploy.py",
    (
        "docs/how-to/replicas.md",
        "export UNCROP_DATABASE_URL=",
    ): "by hand; tests/integration/test_rolling.py does the same",
    ("docs/how-to/replicas.md", "sed 's/uncrop:8000"): "by hand; tests/docs/test_deploy_replicas.py reads the file",
    ("docs/how-to/replicas.md", "sed -i"): "by hand; tests/integration/test_rolling.py does the same",
    ("docs/how-to/replicas.md", "docker compose"): "tests/docs/test_deploy_replicas.py reads the file",
    ("docs/how-to/replicas.md", "kubectl create"): "tests/docs/test_deploy_replicas.py reads the files",
    ("docs/how-to/keys.md", "UNCROP_ENCRYPTION_KEY=$(cat secret)"): "tests/unit/cli/test_cli_provider_keys.py",
    ("docs/how-to/money.md", "./uncrop ledger settle ID"): "tests/unit/cli/test_cli_ledger.py",
    ("docs/how-to/postgresql-and-redis.md", "sudo apt-get install postgresql"): "by hand, on Debian 12",
    ("docs/how-to/ray.md", "python3 -m venv /opt/uncrop/venv"): "the steps of scripts/test-ray",
    ("docs/how-to/ray.md", "export RAY_USAGE_STATS_ENABLED=0"): "tests/integration/test_ray.py, by Ray's own functions",
    ("docs/how-to/ray.md", "/opt/uncrop/venv/bin/ray start"): "tests/integration/test_ray.py",
    ("docs/how-to/webhooks.md", "from uncrop.client import Client"): "tests/unit/test_client_webhooks.py",
    ("docs/how-to/webhooks.md", "./uncrop webhooks create"): "tests/unit/cli/test_cli_webhooks.py",
    ("docs/how-to/generated-clients.md", "openapi-python-client"): "tests/acceptance/test_generated_clients.py",
    ("docs/how-to/generated-clients.md", "from io import BytesIO"): "tests/acceptance/test_generated_clients.py",
    ("docs/how-to/generated-clients.md", "content_type_overrides:"): "tests/acceptance/test_generated_clients.py",
    ("docs/how-to/generated-clients.md", "const client"): "tests/acceptance/test_generated_clients.py",
}
# What is made from the code, or is no code.
NOT_CODE = {"ARCHITECTURE.md": {""}, "docs/reference/python.md": {"text"}, "docs/how-to/deploy.md": {"text"}}
# Stands for an engine of containers: what is run in a service is run here, beside a PostgreSQL of the test's own.
DOCKER = """#!/bin/sh
set -eu
[ "$1" = compose ]
shift
while [ "$1" = -f ]; do [ -f "$2" ]; shift 2; done
case $1 in
    up) [ -s deploy/.env ] ;;
    exec) shift; [ "$1" != -T ] || shift; shift; exec "$@" ;;
    *) exit 64 ;;
esac
"""
UNCROP = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m uncrop "$@"\n'


@dataclass(kw_only=True)
class Desk:
    """A folder that looks like a clone, a server, and what the blocks of a page leave to one another."""

    folder: Path
    house: Real
    environment: dict[str, str]
    stack: ExitStack
    names: dict[str, Any] = field(default_factory=dict)
    key_id: str = ""

    def run(self, block: Block) -> str:
        """Run a block, and return what it printed."""
        text = block.text.replace(SERVER, self.house.url)
        text = text.replace("uncrop_…", self.house.key).replace("org_…", ORGANIZATION).replace("sk-…", "anything")
        text = text.replace("=…", "=anything")
        return self.run_python(text) if block.language == "python" else self.run_shell(text)

    def run_python(self, text: str) -> str:
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(text, "a page", "exec"), self.names)
        return printed.getvalue()

    def run_shell(self, text: str) -> str:
        lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
        if not all(line and (line[0] == "export" or "./uncrop" in line) for line in lines) or re.search(
            r"^\s*for ", text, re.MULTILINE
        ):
            done = subprocess.run(
                ["sh", "-eu", "-c", text],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout + done.stderr
        return "".join(self.run_line(line) for line in lines)

    def run_line(self, words: list[str]) -> str:
        if words[0] == "export":
            self.environment |= dict(word.split("=", 1) for word in words[1:])
            if named := re.match(r"UNCROP_([A-Z]+)_(API_KEY|BASE_URL)=", words[1]):
                self.environment |= self.emulate(named[1].lower())
            return ""
        at = words.index("./uncrop")
        values = {**self.environment, **dict(word.split("=", 1) for word in words[:at])}
        arguments = [self.key_id if word == "ID" else word for word in words[at + 1 :]]
        if arguments[0] in LONG_RUNNING:
            # Read as it would be; another one, whose port is free, runs in its place.
            command = typer.main.get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
            command.make_context(arguments[0], arguments[1:])
            return ""
        done = CliRunner().invoke(app, arguments, env=values)
        assert done.exit_code == 0, f"{words}: {done.output}"
        if arguments[:2] == ["keys", "list"] and not self.key_id:
            self.key_id = done.output.splitlines()[-1].split()[0]
        return done.output

    def emulate(self, name: str) -> dict[str, str]:
        """Start a provider's emulator, and return what points at it."""
        row = emulated()[name]
        emulator = self.stack.enter_context(emulator_of(row)())
        values = {f"UNCROP_{name.upper()}_BASE_URL": emulator.url}
        if any(setting.name == "api_key" for setting in row.settings):
            values[f"UNCROP_{name.upper()}_API_KEY"] = "anything"
        return values


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Real]:
    data = tmp_path_factory.mktemp("server")
    (data / "kernels").symlink_to(kernels)
    with real(data, settings={"rate_limit_per_minute": 1000}) as house:
        yield house


@pytest.fixture
def desk(server: Real, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in ("examples", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    programs = tmp_path / "programs"
    programs.mkdir()
    for path, text in ((tmp_path / "uncrop", UNCROP), (programs / "uncrop", UNCROP), (programs / "docker", DOCKER)):
        path.write_text(text)
        path.chmod(0o755)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "UNCROP_DATA_DIR": str(data_dir),
        "UNCROP_URL": server.url,
        "UNCROP_KEY": server.key,
        "UNCROP_ORGANIZATION": ORGANIZATION,
        "KEY": server.key,
        "ORGANIZATION": ORGANIZATION,
    }
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        desk = Desk(folder=tmp_path, house=server, environment=environment, stack=stack)
        # A page's programs have a key of an organization that its pages name.
        desk.names["key"] = server.new_key("org_shop").key
        yield desk
    desk.names.clear()
    with warnings.catch_warnings():
        # The published SDK leaves its connection to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def elsewhere(block: Block) -> bool:
    return any(block.page == page and block.first_line.startswith(start) for page, start in ELSEWHERE)


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language in {"sh", "python"} and not elsewhere(block)]


# Pages of which the everyday run has others of their kind.
SLOW = {
    "batch.md",
    "bfl.md",
    "bria.md",
    "cli.md",
    "comfyui.md",
    "deploy.md",
    "gallery.md",
    "quickstart.md",
    "sdapi.md",
    "shop.md",
    "stability.md",
}
RUN = [
    pytest.param(page, marks=pytest.mark.slow if page.name in SLOW else (), id=page.relative_to(ROOT).as_posix())
    for page in PAGES
    if runnable(page) and page.name not in {"back-up.md", "postgresql-and-redis.md"}
]


# Pages that change an organization which their reader has already, on the database beside the command.
NEED_ORGANIZATION = {"money.md"}


@pytest.mark.parametrize("page", RUN)
def test_a_page_s_blocks_do_what_it_says(page: Path, desk: Desk) -> None:
    if page.name in NEED_ORGANIZATION:
        desk.run_shell(f"./uncrop keys create --organization {ORGANIZATION}")
    for block in runnable(page):
        printed = desk.run(block)
        if block.output is not None:
            assert is_as_promised(printed, block.output), f"{block.text}\nprinted:\n{printed}"


def test_what_is_backed_up_is_there_when_it_is_put_back(desk: Desk, postgres_server: PostgresServer) -> None:
    sqlite, put_back, postgres, look = runnable(ROOT / "docs/how-to/back-up.md")
    data = Path(desk.environment["UNCROP_DATA_DIR"])
    key = desk.run_shell("./uncrop keys create --organization org_shop")
    desk.run(sqlite)
    before = desk.run_shell("./uncrop keys list")
    (data / "uncrop.db").write_bytes(b"lost")
    (data / "pepper").unlink()
    desk.run(put_back)
    assert desk.run(look).startswith(before)
    assert key.strip()
    # The same on PostgreSQL: what was dumped comes back.
    desk.environment |= {"PGHOST": str(postgres_server.folder), "UNCROP_DATABASE_URL": postgres_server.url("uncrop")}
    desk.run_shell("createdb --username uncrop uncrop\n:")
    desk.run_shell("./uncrop keys create --organization org_shop")
    before = desk.run_shell("./uncrop keys list")
    dump, restore = postgres.text.splitlines()
    desk.run_shell(dump + "\n:")
    desk.run_shell("./uncrop keys create --organization org_other")
    desk.run_shell(restore + "\n:")
    assert desk.run_shell("./uncrop keys list") == before


def test_moving_to_postgresql_and_redis(desk: Desk, postgres_server: PostgresServer, redis_server: RedisServer) -> None:
    copy, settings, containers = runnable(ROOT / "docs/how-to/postgresql-and-redis.md")
    addresses = {
        "postgresql+psycopg://uncrop:…@db.example/uncrop": postgres_server.url("moved"),
        "redis://:…@redis.example:6379/0": redis_server.url,
    }

    def run(block: Block) -> str:
        text = block.text
        for address, ours in addresses.items():
            text = text.replace(address, ours)
        return desk.run_shell(text)

    desk.environment |= {"PGHOST": str(postgres_server.folder)}
    desk.run_shell("createdb --username uncrop moved\n:")
    desk.run_shell("./uncrop keys create --organization org_shop")
    before = desk.run_shell("./uncrop keys list")
    assert "rows are there, and the same" in run(copy)
    # PostgreSQL of the tests keeps nothing when its machine stops, which is what doctor is for.
    told = run(replace(settings, text=settings.text.replace("./uncrop doctor\n", "")))
    assert "the tables are those of revision" in told
    assert told.endswith(before)
    (Path(desk.folder) / "deploy/.env").write_text("A=b\n")
    run(containers)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_is_run_read_or_tried_elsewhere(page: Path) -> None:
    for block in blocks_of(page):
        if block.language in {"sh", "python"} or elsewhere(block):
            continue
        if block.language == "json":
            # What is left out is marked.
            json.loads(re.sub(r",?\s*…(?=[\]}])", "", block.text))
        else:
            assert block.language in NOT_CODE.get(block.page, set()), f"{block.language}: {block.text}"


def test_what_is_said_to_be_tried_elsewhere_is_still_there() -> None:
    found = {
        (block.page, start)
        for page in PAGES
        for block in blocks_of(page)
        for name, start in ELSEWHERE
        if block.page == name and block.first_line.startswith(start)
    }
    assert found == ELSEWHERE.keys()
    assert all(os.access(ROOT / name, os.X_OK) for name in ("scripts/test", "scripts/try-image"))


def test_an_output_is_compared_but_for_its_seconds() -> None:
    assert is_as_promised("a.jpg: 6x3, 1.25 s\n", "a.jpg: 6x3, 0.9 s\n")
    assert not is_as_promised("a.jpg: 6x4, 1.25 s\n", "a.jpg: 6x3, 0.9 s\n")
    assert not is_as_promised("a.jpg: 6x3, 1.2 s\nmore\n", "a.jpg: 6x3, 1.2 s\n")
