"""`camera-hub policies …`: who is told of what, when and how."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from app.cli.context import err, opened_hub, out, print_json, reading, run, site_settings
from app.cli.duty import moment

if TYPE_CHECKING:
    from governance.dispatch.schemas import (
        ForecastOut,
        ForecastStep,
        PoliciesChecked,
        PoliciesOut,
        Severity,
        Status,
    )

app = typer.Typer(help="Dispatch policies: who is told of what, when, how.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
File = Annotated[Path, typer.Argument(help="A file in YAML.", show_default=False)]


@app.command("check")
def check(file: File, json: AsJson = False) -> None:
    """Say whether a file of policies can be used, and what is wrong with it, line by line.

    The exit status is 0 if it can be, else 1. Nothing is written.
    """
    found = _checked(_read(file))
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        for fault in found.faults:
            line = "" if fault.line is None else f":{fault.line}"
            field = f"{fault.field}: " if fault.field else ""
            _line(f"{file}{line}: {field}{fault.message}")
        if found.valid:
            _line(f"{file} can be used.")
    if not found.valid:
        raise typer.Exit(1)


@app.command("show")
def show(json: AsJson = False) -> None:
    """Print the policies in force as they were written."""

    async def work() -> "PoliciesOut":
        async with reading() as (hub, session):
            found: PoliciesOut = await hub.governance.policies.show(session)
            return found

    found = run(work)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    out.file.write(found.text)
    by = f", {found.updated_at:%Y-%m-%d %H:%M} UTC" if found.updated_at else " (came with the hub)"
    err.print(f"version {found.version}{by}", highlight=False)


@app.command("apply")
def apply(
    file: File,
    version: Annotated[
        int | None,
        typer.Option(help="Refuse if another version is in force now.", show_default=False),
    ] = None,
) -> None:
    """Put a file of policies into force, for incidents that open from now on."""
    text = _read(file)

    async def work() -> "PoliciesOut":
        from api.dispatch import check_areas
        from governance.dispatch import repository
        from governance.dispatch.reading import read_text

        found = read_text(text)
        async with opened_hub() as hub, hub.database.transaction() as session:
            await check_areas(session, found)
            current = await repository.latest_version(session)
            made: PoliciesOut = await hub.governance.policies.replace(
                session,
                None,
                version=current if version is None else version,
                text=text,
                found=found,
            )
            return made

    _line(f"In force: version {run(work).version}.")


@app.command("explain")
def explain(
    kind: Annotated[str, typer.Option(help="e.g. alarm_medical", show_default=False)],
    area: Annotated[str, typer.Option(help="Where; default: the whole site.")] = "",
    severity: Annotated[str, typer.Option(help="extreme, severe, moderate or minor.")] = "extreme",
    status: Annotated[str, typer.Option(help="actual, exercise or test.")] = "actual",
    at: Annotated[
        str, typer.Option(help="When, e.g. 2026-11-22T03:00 on the site's clock; default: now.")
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Try this file instead of the policies in force."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say who would be told, when and by what, if this happened and nobody acknowledged it.

    Nothing is written and nobody is told.
    """
    zone = site_settings().site.zone
    when = moment(at, zone) if at else None

    async def work() -> "ForecastOut":
        from api.dispatch import forecast
        from core.errors import InvalidInputError
        from governance.dispatch.schemas import ForecastRequest, PoliciesCheck

        try:
            body = ForecastRequest(
                kind=kind,
                severity=cast("Severity", severity),
                status=cast("Status", status),
                area=area,
                at=when,
                policies=None if file is None else PoliciesCheck(text=_read(file)),
            )
        except ValueError as error:
            raise InvalidInputError(
                "The severity or the status is not one of those there are.",
                remedy="Severities: extreme, severe, moderate, minor, unknown. "
                "Statuses: actual, exercise, test.",
            ) from error
        async with reading() as (hub, session):
            return await forecast(hub, session, body)

    found = run(work)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    _line(f"policy '{found.policy['id']}' (version {found.policy['version']})")
    for step in found.steps:
        _show(step, f"{step.at.astimezone(zone):%a %Y-%m-%d %H:%M:%S}")


def _show(step: "ForecastStep", at: str) -> None:
    again = ", and again for as long as nobody does" if step.repeats else ""
    _line()
    _line(f"+{step.after_s:g} s  {at}{again}")
    if step.whistle:
        _line(f"  whistles for level {step.level} above")
    for person in step.told:
        by = ", ".join(person.channels) or "console only"
        _line(f"  {person.name} ({person.kind}{', whistled for' * person.whistled}): {by}")
    if step.depends:
        _line(f"  and, of a real incident: {', '.join(step.depends)}")
    if not step.told:
        _line("  nobody")
    for gap in step.gaps:
        _line(f"  gap: {gap} names nobody for this moment; everybody with the role is told")
    if step.nobody:
        instead = "; those above are, instead" if step.widened else ", nor anybody above"
        _line(f"  nobody named here can be told outside of a console{instead}")


def _checked(text: str) -> "PoliciesChecked":
    from governance.dispatch.reading import PoliciesError, read_text
    from governance.dispatch.schemas import PoliciesChecked

    try:
        read_text(text)
    except PoliciesError as error:
        return PoliciesChecked(valid=False, faults=error.faults)
    return PoliciesChecked(valid=True, faults=[])


def _read(file: Path) -> str:
    from core.errors import InvalidInputError, NotFoundError

    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{file} is not text in UTF-8.", remedy="Save it as UTF-8 and try again."
        ) from error
    except OSError as error:
        raise NotFoundError(
            f"Cannot read {file}: {error.strerror}.", remedy="Name a file of policies."
        ) from error


def _line(text: str = "") -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
