"""Tries an installed uncrop as its users would: from Python, the command line, and over HTTP; a line for each.

usage: python scripts/smoke.py PHOTO
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import IO

import uncrop
from uncrop.client import Client


def from_python(photo: Path) -> str:
    """Extend the photo in this process, as PNG."""
    result = uncrop.extend(photo, left=16, right=16, seed=2, output_format="PNG")
    assert result.image.startswith(b"\x89PNG")
    return f"{result.width}x{result.height}, confidence {result.facts.confidence:.2f}"


def from_command_line(photo: Path) -> str:
    """Extend it by a command."""
    command = [sys.executable, "-m", "uncrop", "extend", str(photo), "--left", "16", "--output", "wide.webp"]
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert Path("wide.webp").read_bytes()[8:12] == b"WEBP"
    return line.strip()


def over_http(photo: Path) -> str:
    """Start a server on an empty database, and extend the photo with the key that it prints."""
    command = [sys.executable, "-m", "uncrop", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert server.stdout is not None
            address = _address(server.stderr)
            welcome = "".join(server.stdout.readline() for _ in range(6))
            key, organization = (
                re.search(rf"^ +{word} +(\S+)", welcome, re.MULTILINE) for word in ("key", "organization")
            )
            assert key is not None, welcome
            assert organization is not None, welcome
            with Client(address, api_key=key[1], organization_id=organization[1]) as client:
                picture = client.extend(photo, left=16, right=16)
                return f"{picture.media_type}, canvas {picture.canvas}, {len(client.providers())} providers"
        finally:
            server.terminate()


def _address(lines: IO[str]) -> str:
    said = ""
    for line in lines:
        said += line
        if found := re.search(r"listening on (http://\S+)", line):
            return found[1]
    raise AssertionError(f"the server did not start:\n{said}")


def main(photo: Path) -> None:
    """Try all of it, and name the versions that it was tried with."""
    versions = sorted(f"{each.name} {each.version}" for each in distributions())
    print(", ".join(versions))
    print(f"Python: {from_python(photo)}")
    print(f"command line: {from_command_line(photo)}")
    print(f"HTTP: {over_http(photo)}")
    from uncrop.telemetry.otel import open_tracer

    print(f"traces: {open_tracer.__name__} can be imported")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
