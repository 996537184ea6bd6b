"""Public collections of odd and hostile images, which lie outside the checkout; without them their tests skip."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

PLACE = Path(__file__).resolve().parents[1].parent / "shared" / "corpus" / "images.tar.gz"
CORPUS = Path(os.environ.get("TORTURE_CORPUS", PLACE))


@pytest.fixture(scope="session")
def corpus() -> dict[tuple[str, str], bytes]:
    """Every file, by collection and name."""
    if not CORPUS.exists():
        pytest.skip("the corpus is not here: ../shared/corpus/images.tar.gz")
    files: dict[tuple[str, str], bytes] = {}
    with tarfile.open(CORPUS) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                collection, *_, name = Path(member.name).parts
                files[collection, name] = content.read()
    return files


@pytest.fixture(scope="session")
def more_files() -> dict[tuple[str, str], bytes]:
    """Further files, from a folder that whoever runs this names: Pillow's test images for example."""
    folder = os.environ.get("TORTURE_FILES")
    if folder is None:
        return {}
    return {("more", path.name): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}
