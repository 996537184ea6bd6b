"""Fuzzing of our readers by atheris, which is guided by each comparison and branch of our Python: a command, no test.

``python tests/torture/guided_readers.py JPEG|PNG|WEBP|mask FOLDER [options of libFuzzer]``, with ``src``, ``tests`` and
``tests/torture`` on the module path, fills the folder with files that reach more and more of the reader, and ends at
the first one that is neither read nor refused. It takes the package ``atheris`` (tried: 3.0.0 on Python 3.11), which
is none of uncrop's. ``-max_total_time=600`` ends it after ten minutes, ``-max_len=20000`` keeps files small.

The rest of the row is ``test_torture_fuzz``, which needs nothing; what is read, and by whom, is the same.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

# Numba compiles their bytecode, which must stay as it is.
COMPILED = (
    "uncrop.imaging.resample_kernels",
    "uncrop.imaging.text_kernels",
    "uncrop.imaging.png.unfilter",
    "uncrop.imaging.jpeg.coefficients.read_kernels",
    "uncrop.imaging.jpeg.coefficients.make_kernels",
    "uncrop.imaging.jpeg.coefficients.write_kernels",
)


def main(reader: str, folder: Path, *options: str) -> None:
    """Fuzz a reader until it fails, or as long as the options say."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["uncrop.imaging"], exclude=list(COMPILED)):
        fuzz: Any = importlib.import_module("test_torture_fuzz")
    from uncrop.errors import InvalidRequest
    from uncrop.imaging.header import open_file
    from uncrop.imaging.jpeg.kept import read_own

    target, image_format = fuzz.TARGETS[reader]
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(fuzz.files(image_format)):
        (folder / f"sound-{number}").write_bytes(data)

    def try_one(data: bytes) -> None:
        # Nothing behind a wrong checksum would ever be reached.
        file = fuzz.mended(data) if data.startswith(fuzz.SIGNATURE) else data
        with suppress(InvalidRequest):
            if reader == "JPEG":
                header = (opened := open_file(file)).header
                if header.width * header.height <= fuzz.MOST_PIXELS:
                    with suppress(InvalidRequest):  # it must stand files too that no decoder has found whole
                        read_own(opened)
            target(file)

    atheris.Setup([sys.argv[0], *options, str(folder)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
