"""The options of `uncrop batch` that `uncrop extend` does not have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Sources: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Folders, patterns in quotes, photos, tables (.csv: a row a photo), s3://bucket/prefix.",
        show_default=False,
    ),
]
OutputPlace: TypeAlias = Annotated[
    str,
    typer.Option(
        "--output-dir",
        help="Folder or s3://bucket/prefix to write to, with report.csv and report.json.",
        metavar="FOLDER",
        show_default=False,
    ),
]
Recursive: TypeAlias = Annotated[bool, typer.Option("--recursive", help="Take the photos of folders in folders too.")]
AtOnce: TypeAlias = Annotated[
    int | None,
    typer.Option("--jobs", min=1, max=256, help="Photos worked on at once; else as many as keep the engine busy."),
]
MaxUsd: TypeAlias = Annotated[
    float | None, typer.Option(min=0, help="Dollars that may be spent; a dearer plan is refused before it begins.")
]
RetryFailed: TypeAlias = Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace pictures that are there.")]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Make nothing; tell what is to be made, in how many calls, at what price.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print what it came to as JSON.")]
Organization: TypeAlias = Annotated[
    str, typer.Option(metavar="org_…", help="Whom the books tell of it; it is made if need be.")
]
