"""Starts what was built as compose.yaml says, beside a PostgreSQL, and asks it as its users would.

Runs in namespaces of its own, so that the ports are free and nothing of the machine can be changed. Everything that it
sees it prints, a line each; the first thing that is not as it should be ends it.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from build import MOUNTED, Image
from dockerfile import Stage, read

PATIENCE_S = 120
URL = "http://127.0.0.1:8000"


def say(line: str) -> None:
    """Print what was seen."""
    print(line, flush=True)


def must(condition: object, complaint: str) -> None:
    """End here when something is not as it should be."""
    if not condition:
        sys.exit(f"FAILED: {complaint}")


class Composed:
    """The services of compose.yaml, with the secrets that its head tells to make."""

    def __init__(self, deploy: Path, secrets: dict[str, str]) -> None:
        text = (deploy / "compose.yaml").read_text()
        text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: secrets[found[1]], text)
        self.services: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's variables."""
        return {name: str(value) for name, value in self.services[service]["environment"].items()}


class Postgres:
    """The service ``database``, by this machine's PostgreSQL."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
        self._data = folder / "database"
        self._user = pwd.getpwnam("postgres")
        os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        word = folder / "word"
        word.write_text(environment["POSTGRES_PASSWORD"])
        word.chmod(0o644)
        self._run("initdb", "-U", environment["POSTGRES_USER"], "-A", "scram-sha-256", f"--pwfile={word}")
        self._run("pg_ctl", "-w", "-s", "-l", str(folder / "log"), "-o", f"-k {folder}", "start")
        owner = {**os.environ, "PGPASSWORD": environment["POSTGRES_PASSWORD"]}
        create = [str(self._programs / "createdb"), "-h", "127.0.0.1", "-U", environment["POSTGRES_USER"]]
        subprocess.run([*create, environment["POSTGRES_DB"]], env=owner, check=True)

    def stop(self) -> None:
        """Stop it."""
        self._run("pg_ctl", "-w", "-s", "-m", "fast", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self._data), *arguments]
        subprocess.run(command, user=self._user.pw_uid, cwd=self._data.parent, stdout=subprocess.DEVNULL, check=True)


class Container:
    """The service ``uncrop``: the image's user, a root that cannot be written to, no capability."""

    def __init__(self, image: Image, stage: Stage, service: dict[str, Any]) -> None:
        must(service["read_only"] and service["cap_drop"] == ["ALL"], "compose.yaml is less strict than this script")
        self._image, self._stage = image, stage
        # Who is called "database" on compose's network is on this machine here.
        (image.root / "etc/hosts").write_text("127.0.0.1 localhost database\n")
        subprocess.run(["mount", "--bind", str(image.root), str(image.root)], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(image.root)], check=True)
        for place in service["tmpfs"]:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", f"{image.root}{place}"], check=True)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start the entry point, with its own arguments when none are given."""
        entry, default = self._stage.last("ENTRYPOINT"), self._stage.last("CMD")
        assert entry is not None
        assert default is not None
        return self._start(*entry.words(), *(arguments or default.words()), **options)

    def is_healthy(self) -> bool:
        """Do what the health check does."""
        check = self._stage.last("HEALTHCHECK")
        assert check is not None
        test = json.loads(check.rest.removeprefix("CMD"))
        return self._start(*test, stderr=subprocess.DEVNULL).wait() == 0

    def _start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        inside = self._image.command(*words)
        place = inside.index("setpriv") + 1
        inside[place:place] = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        command = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(self._image.root), *inside]
        return subprocess.Popen(command, text=True, **options)


def wait_until(condition: Any, what: str) -> float:
    """Wait for something to be so, and return the seconds."""
    started = time.monotonic()
    while not condition():
        must(time.monotonic() - started < PATIENCE_S, f"{what} within {PATIENCE_S} s")
        time.sleep(0.1)
    return time.monotonic() - started


def get(path: str) -> tuple[int, bytes]:
    """Ask for a page."""
    try:
        with urllib.request.urlopen(URL + path, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def extend(key: str, photo: Path, folder: Path) -> None:
    """Have a photo extended, by curl as the documentation does."""
    form = ["provider=local", "organization_id=org_shop", f"image_file=@{photo}", "extend_right=64", "seed=2"]
    fields = [word for field in form for word in ("--form", field)]
    wide = folder / "wide.jpg"
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--output", str(wide), "--write-out"]
    command += ["%{http_code} %{content_type} %{size_download} bytes in %{time_total} s", *fields]
    command += ["--header", f"X-API-Key: {key}", f"{URL}/api/v1/images/uncrop"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    must(told.returncode == 0 and wide.read_bytes()[:2] == b"\xff\xd8", f"no picture came: {told.stdout}{told.stderr}")
    say(f"a picture: {told.stdout}")


def try_out(container: Container, photo: Path, folder: Path, log: Path) -> None:
    """Start, ask and stop it."""
    with log.open("w") as lines:
        server = container.start(stdout=lines, stderr=lines)
        waited = wait_until(container.is_healthy, "the health check says yes")
        say(f"healthy after {waited:.1f} s: {get('/readyz')[1].decode()}")
        must("compil" not in log.read_text(), f"the engine was compiled anew:\n{log.read_text()}")
        keys = container.start("keys", "create", "--organization", "org_shop", stdout=subprocess.PIPE)
        key = keys.communicate()[0].strip()
        must(keys.returncode == 0 and key.startswith("uncrop_"), "keys create made no key")
        say("keys create: a key on standard output")
        extend(key, photo, folder)
        say(f"the page: {get('/')[0]}, /metrics: {get('/metrics')[0]}, /openapi.json: {get('/openapi.json')[0]}")
        usage = container.start("usage", stdout=subprocess.PIPE)
        told = usage.communicate()[0].strip().splitlines()
        must("local" in told[-1], f"usage does not tell of the picture: {told}")
        say(f"usage: {told[-1]}")
        started = time.monotonic()
        server.terminate()
        must(server.wait(PATIENCE_S) == 0, f"it ended with {server.returncode}:\n{log.read_text()}")
        say(f"stopped on SIGTERM after {time.monotonic() - started:.1f} s, with exit code 0")


def main(project: Path, root: Path) -> None:
    """Try the image in ``root``."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    stage = read(project / "deploy/Dockerfile")[-1]
    image = Image(root=root)
    for instruction in stage.instructions:
        if instruction.word == "ENV":
            image.environment |= dict(word.split("=", 1) for word in instruction.words())
    user, folder = stage.last("USER"), stage.last("WORKDIR")
    assert user is not None
    assert folder is not None
    image.user, image.folder = user.rest, folder.rest
    composed = Composed(project / "deploy", {"UNCROP_KEY_PEPPER": os.urandom(32).hex(), "POSTGRES_PASSWORD": "a1b2c3"})
    image.environment |= composed.environment("uncrop")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="uncrop-image-") as place:
        database = Postgres(composed.environment("database"), Path(place))
        try:
            container = Container(image, stage, composed.services["uncrop"])
            for turn in ("first", "second"):
                say(f"{turn} start, as user {image.user}, on a read-only root:")
                try_out(container, project / "examples/raccoon.jpg", Path(place), Path(place) / f"{turn}.log")
        finally:
            database.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
