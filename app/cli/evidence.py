"""`camera-hub evidence verify`: checks what was handed out; needs no hub and no player."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.context import out, print_json
from app.cli.exports import verified

app = typer.Typer(help="Evidence that was handed out.", no_args_is_help=True)


_RENDITION = {
    "raw": "as recorded.",
    "masked": "with privacy masks painted.",
    "blurred": "a copy with people and vehicles blurred.",
}


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
            + _RENDITION[clip["rendition"]]
        )
        lines += [f"  gap: {gap['from']} to {gap['to']}" for gap in clip["gaps"]]
        lines += [
            f"  segment {one['id']} is not as it was recorded"
            for one in clip["segments"]
            if one["unchanged"] is False
        ]
    lines += _not_evidence(manifest)
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _not_evidence(manifest: dict[str, Any]) -> list[str]:
    """Say what a blurred copy is, and what it was made with."""
    if manifest.get("rendition") != "blurred":
        return []
    lines = [
        "This is a copy for publication and no evidence: people and vehicles were blurred by a "
        "program, and a person looked at the result. manifest.json names the SHA-256 of each "
        "recording it was made from."
    ]
    for clip in manifest["recordings"]:
        made = clip["redaction"]
        lines.append(
            f"{clip['camera']}: blurred with {made['model']}, at least "
            f"{made['looks_per_s']:g} looks a second from a score of "
            f"{made['confidence']:g}; {made['covered']} pictures covered in part, "
            f"{made['blurred_whole']} as a whole."
        )
    return lines
