"""Makes the image of deploy/Dockerfile in a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from build import build, debian
from dockerfile import read


def main(project: Path, folder: Path) -> None:
    """Make ``folder/image``; the Debian beneath it is kept as ``folder/base``."""
    stages = read(project / "deploy/Dockerfile")
    base = folder / "base"
    if not base.exists():
        debian(base, stages[0].base)
    made = folder / "stages"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    image = build(stages, context=project, base=base, into=made)
    shutil.rmtree(folder / "image", ignore_errors=True)
    image.root.rename(folder / "image")
    shutil.rmtree(made)
    size = subprocess.run(["du", "-sh", str(folder / "image")], capture_output=True, text=True, check=True).stdout
    print(f"image: {size.split()[0]}B", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
