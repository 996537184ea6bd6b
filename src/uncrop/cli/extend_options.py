"""The options of `uncrop extend`: types, and the help that `{…}` in it is filled in from the providers' rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from uncrop.cli.completion import complete_anchor, complete_format, complete_provider, complete_quality

Photos: TypeAlias = Annotated[
    list[Path],
    typer.Argument(metavar="PHOTO", help="Photos: JPEG, PNG or WebP; - is standard input.", show_default=False),
]
OutputFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Where to write; the name's ending sets the format. - is standard output.",
        metavar="FILE",
    ),
]
OutputDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Folder to write to, under the photos' own names; it is made if need be.", metavar="FOLDER"),
]
OutputFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="jpeg, png or webp; else by the name's ending, or the photo's own.", autocompletion=complete_format
    ),
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
Open: TypeAlias = Annotated[bool, typer.Option("--open", help="Show the pictures in this desktop's viewer.")]
Left: TypeAlias = Annotated[int, typer.Option(help="Pixels to add on the left; negative crops.")]
Right: TypeAlias = Annotated[int, typer.Option(help="Pixels to add on the right.")]
Up: TypeAlias = Annotated[int, typer.Option(help="Pixels to add above.")]
Down: TypeAlias = Annotated[int, typer.Option(help="Pixels to add below.")]
Aspect: TypeAlias = Annotated[str | None, typer.Option(help="In place of sides: the ratio of the result, as 16:9.")]
Canvas: TypeAlias = Annotated[
    str | None, typer.Option(help="In place of sides: 2000x1500, or 2000x1500+X+Y to say where the photo lies.")
]
ZoomOut: TypeAlias = Annotated[int | None, typer.Option(help="In place of sides: per cent, 1 to 90.")]
Anchor: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Where the photo lies: center, left, top-right and so on.", autocompletion=complete_anchor),
]
OutputSize: TypeAlias = Annotated[str | None, typer.Option(help="Of the finished picture, as 1920x1080.")]
MaxCalls: TypeAlias = Annotated[int | None, typer.Option(help="Billed calls that it may take, 1 to 8; else 1.")]
Detail: TypeAlias = Annotated[
    str | None, typer.Option(help="on or off: detail drawn from the photo into what had to be enlarged; else on.")
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(help="The same seed gives the same picture. {takes:seed}.", show_default=False)
]
Provider: TypeAlias = Annotated[
    str, typer.Option(help="Who makes the pixels: auto, {providers}.", autocompletion=complete_provider)
]
Quality: TypeAlias = Annotated[
    str | None, typer.Option(help="How much time to take. {takes:quality}.", autocompletion=complete_quality)
]
Mask: TypeAlias = Annotated[
    Path | None, typer.Option(help="PNG, transparent where pixels go. {takes:mask_file}.", metavar="FILE")
]
Prompt: TypeAlias = Annotated[str | None, typer.Option(help="What to continue with. {takes:prompt}.")]
NegativePrompt: TypeAlias = Annotated[str | None, typer.Option(help="What not to show. {takes:negative_prompt}.")]
Size: TypeAlias = Annotated[str | None, typer.Option(help="Of the result, with a mask. {takes:size}.")]
ConfidenceMap: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Where to write a grey PNG, the lighter the surer. {takes:confidence_map}.", metavar="FILE"),
]
Variations: TypeAlias = Annotated[int | None, typer.Option(help="1 to 4 pictures of seeds of their own, numbered.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Make nothing; tell what it would take.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON: an object a picture, each in a line.")]
