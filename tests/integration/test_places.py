"""Places that cannot be written to and an environment that is wrong, as the command line and the launcher meet them.

Whatever only saves time is done without; the rest is one line, and nothing of it is a traceback.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

import httpx2
import pytest

from fixtures_server import PATH
from places import read_only
from uncrop.cli.unkept import unkept_lines
from uncrop.settings import Settings
from uncrop.testing import pictures
from uncrop.testing.clipdrop import ClipdropEmulator

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "uncrop"]


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in proxies}
    return {**kept, "UNCROP_DATA_DIR": str(data_dir), "COLUMNS": "200"}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    path.write_bytes(pictures.photo_png(80, 60))
    return path


def run(command: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, env=environment, cwd=folder, capture_output=True, text=True, timeout=240
    )


def one_line(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("uncrop: ")
    return done.stderr.removeprefix("uncrop: ").rstrip()


# --- the data folder --------------------------------------------------------------------------------------------------

# Each is a process or two: every day, the server and one of the commands that open the database alike.
OFTEN = ["serve --port 0", "keys list"]
RARELY = [pytest.param(each, marks=pytest.mark.slow) for each in ("keys create --organization org_a", "usage")]
READ_ONLY = [*OFTEN, *RARELY]


@pytest.mark.parametrize("arguments", READ_ONLY)
@pytest.mark.parametrize("used", [True, False])
def test_a_read_only_data_folder_is_one_line(
    environment: dict[str, str], tmp_path: Path, arguments: str, used: bool
) -> None:
    data = tmp_path / "kept"
    data.mkdir()
    environment["UNCROP_DATA_DIR"] = str(data)
    if used:
        made = run([*COMMAND, "keys", "create", "--organization", "org_a"], environment, tmp_path)
        assert made.returncode == 0, made.stderr
    line = one_line(run(read_only(data, [*COMMAND, *arguments.split()]), environment, tmp_path))
    assert line.startswith("UNCROP_DATA_DIR: ")


@pytest.mark.parametrize("arguments", READ_ONLY)
def test_a_missing_table_is_one_line(environment: dict[str, str], tmp_path: Path, arguments: str) -> None:
    import sqlite3

    run([*COMMAND, "keys", "list"], environment, tmp_path)
    with sqlite3.connect(Path(environment["UNCROP_DATA_DIR"]) / "uncrop.db") as database:
        database.execute("DROP TABLE entries")
    database.close()
    line = one_line(run([*COMMAND, *arguments.split()], environment, tmp_path))
    assert line == "UNCROP_DATA_DIR: the database cannot be opened (no such table: entries)"


@pytest.mark.parametrize("arguments", ["keys list", *RARELY, "providers", "--help"])
def test_output_on_a_full_disk_is_one_line(environment: dict[str, str], tmp_path: Path, arguments: str) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("wb") as output:
        done = subprocess.run(
            [*COMMAND, *arguments.split()],
            check=False,
            env=environment,
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=240,
        )
    told = "uncrop: the output cannot be written (no space left on device)\n"
    assert (done.returncode, done.stderr.decode()) == (2, told)


def test_kernels_in_a_read_only_folder_are_used(environment: dict[str, str], small: Path, tmp_path: Path) -> None:
    kept = Path(environment["UNCROP_DATA_DIR"]) / "kernels"
    command = [*COMMAND, "extend", str(small), "--left", "8", "--quality", "fast", "-o", "wide.png"]
    done = run(read_only(kept.resolve(), command), environment, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_server_makes_pictures_where_only_its_database_can_be_written(
    environment: dict[str, str], small: Path, tmp_path: Path
) -> None:
    data, elsewhere = Path(environment["UNCROP_DATA_DIR"]), tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment |= {
        "UNCROP_DATABASE_URL": f"sqlite+aiosqlite:///{elsewhere}/uncrop.db",
        "UNCROP_KEY_PEPPER": "0123456789" * 4,
    }
    made = run([*COMMAND, "keys", "create", "--organization", "org_a"], environment, tmp_path)
    command = read_only(data, [*COMMAND, "serve", "--port", "0"])
    with subprocess.Popen(command, env=environment, cwd=elsewhere, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            *told, listening = told_until_it_listens(server.stderr)
            answers, jobs = data / "objects" / "answers", data / "objects" / "jobs"
            reason = "(read-only file system)" if os.geteuid() == 0 else "(permission denied)"
            assert [line.split(", so ")[0] for line in told] == [
                f"uncrop: answers cannot be kept in {answers} {reason}",
                f"uncrop: the files of jobs cannot be kept in {jobs} {reason}",
            ]
            asked = {
                "headers": {"X-API-Key": made.stdout.strip(), "Idempotency-Key": "once"},
                "data": {"provider": "local", "organization_id": "org_a", "extend_left": "8", "quality": "fast"},
                "files": {"image_file": small.read_bytes()},
                "timeout": 60,
            }
            url = listening.split()[-1]
            assert httpx2.post(url + PATH, **asked).status_code == 200
            again = httpx2.post(url + PATH, **asked)
            assert (again.status_code, again.json()["error"]["code"]) == (410, "RESULT_NOT_KEPT")
            job = httpx2.post(url + "/api/v1/jobs", **asked)
            assert (job.status_code, job.json()["error"]["code"]) == (503, "SERVER_BUSY")
        finally:
            server.terminate()


def told_until_it_listens(stream: IO[str]) -> list[str]:
    lines = []
    while line := stream.readline():
        lines.append(line.rstrip())
        if line.startswith("uncrop: listening on"):
            return lines
    raise AssertionError(lines)


@pytest.mark.parametrize("name", ["answers", "jobs"])
def test_one_folder_alone_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    """A file stands in its place, which keeps root out too."""
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / name).write_bytes(b"")
    line, *others = unkept_lines(Settings(data_dir=tmp_path, _env_file=None))
    assert others == []
    assert f" cannot be kept in {tmp_path / 'objects' / name}" in line


def test_a_bucket_is_not_tried_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"")
    assert [*unkept_lines(Settings(data_dir=tmp_path, objects_url="s3://bucket", _env_file=None))] == []


# --- the environment --------------------------------------------------------------------------------------------------

WRONG = [
    ("SSL_CERT_FILE", "/none.pem", "SSL_CERT_FILE: cannot be read (no such file or directory)"),
    ("https_proxy", "foo://bar", "https_proxy: must begin with http://, https://, socks5:// or socks5h://"),
    ("ALL_PROXY", "socks5://", "ALL_PROXY: must be scheme://host:port"),
]


@pytest.mark.parametrize(("name", "value", "line"), WRONG)
def test_a_wrong_environment_stops_before_anything_is_sent(
    environment: dict[str, str], small: Path, tmp_path: Path, name: str, value: str, line: str
) -> None:
    with ClipdropEmulator() as clipdrop:
        wrong = {**environment, "UNCROP_CLIPDROP_API_KEY": "k", "UNCROP_CLIPDROP_BASE_URL": clipdrop.url, name: value}
        extend = ["extend", str(small), "--left", "8", "--provider", "clipdrop", "-o", "wide.png"]
        assert one_line(run([*COMMAND, *extend], wrong, tmp_path)) == line
        assert one_line(run([*COMMAND, "serve", "--port", "0"], wrong, tmp_path)) == line
        assert clipdrop.calls == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(("wide", ".uncrop"))] == []


def test_the_doctor_finds_it_too(environment: dict[str, str], tmp_path: Path) -> None:
    wrong = {**environment, **{name: value for name, value, _ in WRONG}}
    done = run([*COMMAND, "doctor"], wrong, tmp_path)
    assert done.returncode == 2
    assert {f"bad network    {line}" for *_, line in WRONG} <= set(done.stdout.splitlines())
    assert done.stderr == ""


# --- the launcher -----------------------------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that another user prepared: what the launcher looks at, and a command line that says its arguments."""
    root = tmp_path / "a clone"
    for name in ("uncrop", "pyproject.toml", "scripts/setup", "requirements/run.txt", "requirements/dev.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (root / ".venv" / "bin" / "uncrop").write_text('#!/bin/sh\necho "ran $*"\n')
    (root / ".venv" / "bin" / "uncrop").chmod(0o755)
    locked = (root / "requirements/run.txt").read_bytes() + (root / "pyproject.toml").read_bytes()
    (root / ".venv" / ".uncrop-run").write_text(f"{hashlib.sha256(locked).hexdigest()} {root}\n")
    return root


def test_a_prepared_clone_runs_where_nothing_can_be_written_and_no_python_is_found(clone: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "dirname", "readlink"):
        (tools / name).symlink_to(shutil.which(name) or pytest.fail(f"this machine has no {name}"))
    command = read_only(clone, ["env", f"PATH={tools}", str(clone / "uncrop"), "extend", "a b"])
    done = run(command, {**os.environ}, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran extend a b\n", "")
    assert not (clone / ".setup.lock").exists()


def test_a_clone_that_must_be_prepared_by_its_owner_says_so(clone: Path, tmp_path: Path) -> None:
    (clone / "pyproject.toml").write_text("changed")
    line = one_line(run(read_only(clone, [str(clone / "uncrop"), "doctor"]), {**os.environ}, tmp_path))
    assert line == (
        f"{clone} is not prepared for this version, and this user cannot write to it; let its owner run scripts/setup"
    )
