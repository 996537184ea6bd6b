"""The files in deploy/ are sound as far as that can be told without an engine; `scripts/try-image` starts them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from uncrop import settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
sys.path.insert(0, str(ROOT / "scripts" / "image"))

from dockerfile import read  # noqa: E402

VARIABLES = {settings.PREFIX + name.upper() for name in settings.Settings.model_fields}


def composed(name: str = "compose.yaml") -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())["services"]
    return services


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not installed: its package is made for Linux on x86-64 alone")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_runs_as_nobody_in_particular_and_serves() -> None:
    build, image = read(DEPLOY / "Dockerfile")
    assert build.base == image.base
    assert image.last("USER").rest == "10001:10001"
    assert image.last("ENTRYPOINT").words() == ["uncrop"]
    assert image.last("CMD").words()[0] == "serve"
    copied = [name for step in build.instructions if step.word == "COPY" for name in step.words()[:-1]]
    assert {name for name in copied if not (ROOT / name).exists()} == set()
    # What is copied is let through, and nothing else is.
    let_through = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert {name if "/" not in name else "requirements/*.txt" for name in copied} == let_through


def test_what_the_reader_of_dockerfiles_does_not_know_it_says(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(
        "# a comment\nFROM debian:bookworm-slim AS one\nRUN a \\\n    # in between\n    && b\nCOPY --chown=1:1 a b/\n"
    )
    (stage,) = read(file)
    assert (stage.base, stage.name) == ("debian:bookworm-slim", "one")
    assert [(each.word, each.options, each.rest) for each in stage.instructions] == [
        ("RUN", {}, "a && b"),
        ("COPY", {"chown": "1:1"}, "a b/"),
    ]
    file.write_text("FROM a\nONBUILD RUN b\n")
    with pytest.raises(ValueError, match="ONBUILD is not known here"):
        read(file)


def test_every_variable_that_is_set_exists() -> None:
    named = {
        name
        for file in DEPLOY.rglob("*")
        if file.is_file()
        for name in re.findall(r"\bUNCROP_[A-Z_]+", file.read_text())
    }
    assert named
    assert named <= VARIABLES


@pytest.mark.parametrize("file", ["compose.yaml", "compose.replicas.yaml"])
def test_no_secret_has_a_default(file: str) -> None:
    for service in composed(file).values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|PEPPER|KEY", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name


def test_the_server_alone_is_reached_and_only_from_this_machine() -> None:
    services = composed()
    assert "ports" not in services["database"]
    assert all(port.startswith("127.0.0.1:") for port in services["uncrop"]["ports"])


def test_a_second_server_is_as_strict_as_the_first_and_counts_with_it() -> None:
    first, added = composed()["uncrop"], composed("compose.replicas.yaml")
    second = added["second"]
    for rule in ("image", "restart", "init", "read_only", "tmpfs", "cap_drop", "security_opt", "stop_grace_period"):
        assert second[rule] == first[rule], rule
    environment = first["environment"].keys() | added["uncrop"]["environment"].keys()
    assert second["environment"].keys() == environment
    assert second["environment"]["UNCROP_REDIS_URL"] == added["uncrop"]["environment"]["UNCROP_REDIS_URL"]
    assert all(port.startswith("127.0.0.1:") for port in second["ports"])
    assert "ports" not in added["redis"]


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "uncrop.service"
    text = (DEPLOY / "uncrop.service").read_text()
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "uncrop.service" in line]
    assert (done.returncode, ours) == (0, [])
