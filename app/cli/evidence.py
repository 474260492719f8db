"""`camera-hub evidence verify`: checks what was handed out; needs no hub and no player."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.context import out, print_json
from app.cli.exports import verified

app = typer.Typer(help="Evidence that was handed out.", no_args_is_help=True)


@app.command("verify")
def verify_evidence(
    path: Annotated[
        Path,
        typer.Argument(help="The zip, or the folder it was unpacked into.", show_default=False),
    ],
    key: Annotated[
        Path | None,
        typer.Option(help="Public key (.pub) of the site; default: those of the data directory."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Check signature, files, and every part of the recordings; fails on one flipped byte.

    Needs no network, no database and no player.
    """
    manifest = verified(path, key)
    if json:
        print_json(manifest)
        return
    who, by = manifest["requested_by"], manifest["approved_by"]
    lines = [
        f"Good: export {manifest['number']}, made for {who['display_name']} ({who['username']}), "
        f"approved by {by['display_name']} ({by['username']}), valid until "
        f"{manifest['expires_at']}.",
    ]
    if manifest["pictures"]:
        lines.append(f"{len(manifest['pictures'])} picture(s) of incident {manifest['incident']}.")
    for clip in manifest.get("recordings", []):
        frames = sum(film["frames"] for film in clip["files"])
        parts = sum(len(film["parts"]) for film in clip["files"])
        lines.append(
            f"{clip['camera']}: {clip['present']['from']} to {clip['present']['to']}, {frames} "
            f"frames in {parts} parts of {len(clip['segments'])} segments, "
            + ("as recorded." if clip["rendition"] == "raw" else "with privacy masks painted.")
        )
        lines += [f"  gap: {gap['from']} to {gap['to']}" for gap in clip["gaps"]]
        lines += [
            f"  segment {one['id']} is not as it was recorded"
            for one in clip["segments"]
            if one["unchanged"] is False
        ]
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
