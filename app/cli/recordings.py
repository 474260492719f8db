"""`camera-hub recordings list | export | check | locks | extend-lock`."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.context import err, opened_hub, out, print_json, print_table, reading, run
from app.cli.recording_export import export_recordings
from app.cli.times import moment as _moment
from core.errors import ForbiddenError, InvalidInputError, NotFoundError

app = typer.Typer(
    help="What cameras have recorded, and the disks it lies on.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
_UNITS = ("B", "kB", "MB", "GB", "TB")


@app.command("list")
def list_recordings(
    camera: Annotated[
        str, typer.Argument(help="Name or id; none: what each camera takes.", show_default=False)
    ] = "",
    start: Annotated[
        str, typer.Option("--from", help="When, in ISO 8601; a day ago if left out.")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Until when; now if left out.")] = "",
    json: AsJson = False,
) -> None:
    """List what is recorded of a camera and what is not, or what each camera takes."""
    if not camera:
        _list_storage(json)
        return
    spans, gaps = run(lambda: _spans(camera, start, end))
    if json:
        print_json({"spans": spans, "gaps": gaps})
        return
    rows = [(one["from"], one["to"], one["cause"]) for one in spans]
    rows += [(one["from"], one["to"], f"- {one['reason']}") for one in gaps]
    print_table(("from", "to", "recorded"), sorted(rows), "Nothing is recorded.")


async def _spans(
    name: str, start: str, end: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from access.scope import EVERYTHING
    from camera_hub.devices import repository
    from camera_hub.devices.recording_plan import plan_of
    from camera_hub.recording.index.gaps import CameraPast

    async with reading() as (hub, session):
        found = await repository.named(session, name, EVERYTHING)
        if len(found) != 1:
            raise NotFoundError(
                f"There is no one camera '{name}'.", remedy="See `camera-hub cameras list`."
            )
        camera = found[0]
        if camera.place_kind == "home":
            raise ForbiddenError(
                "When a home is recorded is known to its household only.",
                remedy="`camera-hub recordings list` without a name says what it takes.",
                code="no-consent",
            )
        until = _moment(end) or hub.clock.now()
        since = _moment(start) or until - timedelta(days=1)
        if not since < until:
            raise InvalidInputError("The span is empty.", remedy="Name --from before --to.")
        spans = await hub.recordings.spans(session, camera.id, since, until)
        past = CameraPast(
            camera.id,
            camera.created_at,
            plan_of(camera.recording).mode if camera.enabled else "off",
            hub.settings.recording.segment_s + 30.0,
        )
        gaps = await hub.recordings.gaps(session, past, spans, (since, until))
    return (
        [{"from": _text(s.start), "to": _text(s.end), "cause": s.cause} for s in spans],
        [{"from": _text(a), "to": _text(b), "reason": why} for a, b, why in gaps],
    )


def _list_storage(json: bool) -> None:
    async def survey() -> Any:
        async with reading() as (hub, session):
            return await hub.recordings.survey(session)

    found = run(survey)
    if json:
        print_json(
            {
                "disks": [asdict(disk) for disk in found.disks],
                "cameras": [asdict(use) for use in found.cameras],
                "full_at": found.full_at,
            }
        )
        return
    print_table(
        ("disk", "state", "used", "free", "a day", "full"),
        [
            (d.name, d.state, size(d.used), size(d.free), size(d.per_day), _text(d.full_at))
            for d in found.disks
        ],
        "No disks.",
    )
    out.print()
    print_table(
        ("camera", "takes", "a day", "oldest", "kept (h)", "locked"),
        [
            (
                use.name or use.camera_id,
                size(use.bytes),
                size(use.per_day),
                _text(use.oldest_at),
                "while there is room" if use.retention_h is None else use.retention_h,
                size(use.locked_bytes),
            )
            for use in found.cameras
        ],
        "Nothing is recorded.",
    )


app.command("export")(export_recordings)


@app.command("check")
def check_recordings(
    depth: Annotated[
        str, typer.Option(help="presence: files and rows; size: their sizes; hash: read them all.")
    ] = "presence",
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Index files that the index lacks, fill in hashes, and take out rows whose "
            "file a disk has lost. No file is ever erased.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Compare the index with the disks, while recording goes on. Exit status 1 if they differ."""
    if depth not in {"presence", "size", "hash"}:
        raise InvalidInputError(
            f"There is no depth '{depth}'.", remedy="Use presence, size or hash."
        )

    async def work() -> Any:
        from api.recording_watch import Faults, tell_of_lost

        async with opened_hub() as hub:
            with Progress(
                TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=err, transient=True, disable=json or not err.is_terminal,
            ) as bar:  # fmt: skip
                task = bar.add_task("")
                report = await hub.recordings.check(
                    depth,
                    repair=repair,
                    progress=lambda done, total, _: bar.update(task, completed=done, total=total),
                )
            await tell_of_lost(Faults(hub), report)
            return report

    report = run(work)
    if json:
        print_json({"good": report.good, **asdict(report)})
    else:
        _print_report(report)
    if not report.good:
        raise typer.Exit(1)


def _print_report(report: Any) -> None:
    out.print(f"{report.files} files ({size(report.bytes)}) and {report.rows} rows were compared.")
    for text, count, names in (
        ("files that the index lacks", report.unknown, report.unknown_files),
        ("rows whose file is missing", report.missing, report.missing_files),
        ("files of another size or hash than the index says", report.changed, report.changed_files),
        ("files that cannot be read", report.broken, report.broken_files),
    ):
        if count:
            out.print(f"{count} {text}:")
            for name in names:
                out.print(f"  {name}", markup=False, highlight=False)
            if count > len(names):
                out.print(f"  … and {count - len(names)} more")
    for name in report.away:
        out.print(f"The disk '{name}' is not there; its recordings were left alone.")
    if report.indexed:
        out.print(f"{report.indexed} files were put into the index.")
    if report.removed:
        out.print(f"{report.removed} rows were taken out of the index; an incident says so.")
    if report.good:
        out.print("Index and disks agree.")
    elif not (report.indexed or report.removed):
        out.print("`--repair` mends the index. It erases no file.")


@app.command("locks")
def list_locks(
    every: Annotated[bool, typer.Option("--all", help="Ended and expired ones too.")] = False,
    json: AsJson = False,
) -> None:
    """List what is kept under lock, newest first."""

    async def rows() -> list[dict[str, Any]]:
        from access.scope import EVERYTHING

        async with reading() as (hub, session):
            found = await hub.recordings.locks.page(
                session, EVERYTHING, active=not every, before=None, limit=1000
            )
            return [
                {
                    "id": row.id,
                    "camera": name,
                    "from": _text(row.from_at),
                    "to": _text(row.to_at),
                    "reason": row.reason,
                    "expires_at": _text(row.expires_at),
                    "state": hub.recordings.locks.state_of(row),
                }
                for row, name in found
            ]

    found = run(rows)
    if json:
        print_json(found)
        return
    columns = ("id", "camera", "from", "to", "reason", "expires_at", "state")
    print_table(columns, [[row[c] for c in columns] for row in found], "Nothing is locked.")


@app.command("extend-lock")
def extend_lock(
    lock_id: Annotated[UUID, typer.Argument(help="Its id; see `locks`.", show_default=False)],
    until: Annotated[str, typer.Option(help="When it expires instead, in ISO 8601.")],
    reason: Annotated[str, typer.Option(help="Why; it is in the ledger.")],
    json: AsJson = False,
) -> None:
    """Let a lock last longer. The ledger says that the command line did it, and why."""

    async def work() -> str:
        from camera_hub.devices import homes

        async with opened_hub() as hub, hub.database.transaction() as session:
            row = await hub.recordings.locks.get(session, lock_id)
            camera = await homes.also_deleted(session, row.camera_id)
            if camera is None:
                raise NotFoundError("There is no such lock.", remedy="See `recordings locks`.")
            if camera.place_kind == "home":
                raise ForbiddenError(
                    "What is kept of a home is its household's to say.",
                    remedy="Ask the household to extend it in the console.",
                    code="no-consent",
                )
            end = _moment(until)
            if end is None or not 3 <= len(reason.strip()) <= 300:
                raise InvalidInputError("Name a time and a reason.", remedy="See --help.")
            await hub.recordings.locks.extend(
                session, None, row, camera.area, until=end, why=reason.strip()
            )
            return _text(row.expires_at)

    shown = run(work)
    if json:
        print_json({"id": lock_id, "expires_at": shown})
    else:
        out.print(f"It is kept until {shown}.")


def size(count: float) -> str:
    """Return bytes as a person reads them."""
    for unit in _UNITS[:-1]:
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"


def _text(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
