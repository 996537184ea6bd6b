"""`pip install uncrop` brings the client alone, and whatever needs more says so in one line."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from uncrop.extras import advice, explained

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "opentelemetry-sdk": "opentelemetry",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
    "pydantic-settings": "pydantic_settings",
    "python-multipart": "python_multipart",
}
# All that a client needs: httpx2, and what that brings.
WITHOUT_EXTRA = {"anyio", "httpx2"}
# Lets nothing be imported that an extra brings, as if it were not installed.
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Block())
"""


def packages(extra: str) -> set[str]:
    """Return what an extra brings, by the names under which it is imported."""
    wanted = [Requirement(line).name for line in PROJECT["optional-dependencies"][extra]]
    return {IMPORTED_AS.get(name, name) for name in wanted if name != "uncrop"}


def run(code: str, missing: set[str]) -> subprocess.CompletedProcess[str]:
    program = BLOCK.format(missing=missing - WITHOUT_EXTRA) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


ALL = (
    packages("engine")
    | packages("jobs")
    | packages("server")
    | packages("postgres")
    | packages("redis")
    | packages("otel")
    | packages("ray")
)


def test_the_client_needs_no_extra() -> None:
    code = (
        "import os, uncrop, uncrop.errors; from uncrop.client import AsyncClient, Client;"
        "os.environ.update(UNCROP_URL='http://server', UNCROP_KEY='key', UNCROP_ORGANIZATION='org_a');"
        "Client().close(); AsyncClient(); print('made')"
    )
    done = run(code, ALL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "made\n", "")


@pytest.mark.parametrize("extra", ["engine", "jobs", "server", "postgres", "redis", "otel", "ray"])
def test_every_package_of_an_extra_is_named_with_it(extra: str) -> None:
    for package in packages(extra):
        error = ModuleNotFoundError(f"No module named '{package}.part'", name=f"{package}.part")
        assert advice(error) == f"{package} is not installed; it comes with: pip install 'uncrop[{extra}]'"


@pytest.mark.parametrize("code", ["uncrop.extend('photo.jpg', left=8)", "uncrop.Uncropper", "uncrop.Settings"])
def test_python_names_the_command(code: str) -> None:
    done = run(f"import uncrop\n{code}", ALL)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("is not installed; it comes with: pip install 'uncrop[engine]'")


def test_the_command_line_names_the_command() -> None:
    done = run("from uncrop.__main__ import main; main()", ALL)
    expected = "uncrop: typer is not installed; it comes with: pip install 'uncrop[engine]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)


def test_the_server_names_the_command() -> None:
    code = "sys.argv = ['uncrop', 'serve', '--port', '0']; from uncrop.__main__ import main; main()"
    done = run(code, packages("server"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("is not installed; it comes with: pip install 'uncrop[server]'\n")
    assert done.stderr.count("\n") == 1


def test_a_module_of_ours_that_is_missing_is_a_fault_and_no_advice() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'uncrop.nowhere'$"), explained():
        __import__("uncrop.nowhere")
    assert advice(ModuleNotFoundError("lost")) == "lost"
