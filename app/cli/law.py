"""`camera-hub law …`, `residents …`, `seals …`, `transparency`: what is asked, and what is told."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.context import err, opened_hub, out, print_json, print_table, reading, run, settings

if TYPE_CHECKING:
    from access.jurisdictions import Law

app = typer.Typer(help="The law in force, and the cameras that break it.", no_args_is_help=True)
residents = typer.Typer(help="What residents are told.", no_args_is_help=True)
seals = typer.Typer(help="Seals of incidents.", no_args_is_help=True)

Jurisdiction = Annotated[
    str,
    typer.Option("--jurisdiction", "-j", help="Another one than `site.jurisdiction`, to try it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


class PageFormat(StrEnum):
    """What the page of transparency is written as."""

    json = "json"
    html = "html"
    md = "md"


class PageLanguage(StrEnum):
    """The languages of the console, and so of the page."""

    en = "en"
    zh = "zh-CN"


def _law(name: str) -> "Law":
    from access.jurisdictions import Law

    loaded = settings()
    return Law.load(loaded.data_dir / "jurisdictions", name or loaded.site.jurisdiction)


@app.command("show")
def show(jurisdiction: Jurisdiction = "", as_json: AsJson = False) -> None:
    """Show rules and places of the law in force. Configuration, not legal advice."""
    law = _law(jurisdiction).describe()
    if as_json:
        print_json(law.model_dump(mode="json", by_alias=True))
        return
    out.print(f"{law.name}: {law.title}", highlight=False, markup=False)
    out.print(str(law.note), highlight=False, markup=False)
    print_table(
        ("rule", "asks", "quote", "source"),
        ((r.number, r.text, r.quote, r.source) for r in law.rules),
        "No rules.",
    )
    print_table(
        ("place", "title", "forbidden by", "least h", "default h", "reason above h", "most h"),
        (
            (p.key, p.title, p.forbidden_by, p.min_h, p.default_h, p.justify_above_h, p.max_h)
            for p in law.places
        ),
        "No places.",
    )


@app.command("check")
def check(jurisdiction: Jurisdiction = "", as_json: AsJson = False) -> None:
    """List the cameras that break the law in force, rule by rule; exit 1 if there are any."""
    law = _law(jurisdiction)

    async def work() -> list[dict[str, str]]:
        from camera_hub.devices.facts import broken_rules

        async with reading() as (hub, session):
            return [
                {
                    "camera_id": str(camera.id),
                    "camera": camera.name,
                    "area": camera.area,
                    "field": breach.field,
                    "rule": breach.rule,
                    "message": str(breach.message),
                    "quote": str(breach.quote),
                    "source": str(breach.source),
                    "remedy": str(breach.remedy),
                }
                for camera, breach in await broken_rules(session, law, hub.settings.site)
            ]

    found = run(work)
    if as_json:
        print_json({"jurisdiction": law.name, "breaches": found})
    else:
        print_table(
            ("camera", "area", "rule", "what", "quote", "do"),
            (
                (f["camera"], f["area"], f["rule"], f["message"], f["quote"], f["remedy"])
                for f in found
            ),
            f"Every camera keeps to the law ({law.name}).",
        )
    if found:
        raise typer.Exit(1)


@residents.command("digest")
def digest(
    month: Annotated[str, typer.Option(help="e.g. 2026-11; default: the last month.")] = "",
    household: Annotated[str, typer.Option(help="Name or id of one household.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what households are told of a month, as it was kept or as it is now."""

    async def work() -> list[dict[str, Any]]:
        from access.households import repository
        from api.digests import digest_of
        from api.months import Month

        async with reading() as (hub, session):
            last = Month.of(hub.clock.now(), hub.settings.site.zone).plus(-1)
            wanted = Month.parse(month) if month else last
            rows = await repository.page(session, areas=[""], own=(), after=None, limit=100_000)
            chosen = [h for h in rows if household in ("", h.name, str(h.id))]
            if household and not chosen:
                err.print(f"There is no household '{household}'.", highlight=False, markup=False)
                raise typer.Exit(1)
            made = [await digest_of(hub, session, row, wanted) for row in chosen]
            return [one.model_dump(mode="json") for one in made]

    found = run(work)
    if as_json:
        print_json(found)
        return
    for one in found:
        state = "kept" if one["kept_at"] else "so far"
        out.print(
            f"{one['household']}, {one['month']} ({state}): {one['exports']} exports, "
            f"{one['still_sealed']} told later, {one['released']} of earlier months told now",
            highlight=False,
            markup=False,
        )
        print_table(
            ("camera", "viewings", "seconds", "as", "for"),
            (
                (c["name"], c["viewings"], c["seconds"], _counts(c["by_role"]),
                 _counts(c["by_purpose"]))
                for c in one["cameras"]
            ),
            "Nobody looked.",
        )  # fmt: skip
    if not found:
        out.print("No household yet: `POST /households`, or the page of households.")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


@seals.command("list")
def list_seals(as_json: AsJson = False) -> None:
    """List the seals of incidents, newest first."""

    async def work() -> list[dict[str, Any]]:
        async with reading() as (hub, session):
            rows = await hub.seals.page(session, areas=[""], before=None, limit=10_000)
            described = await hub.seals.describe(session, rows, None, may=False)
            return [one.model_dump(mode="json") for one in described]

    found = run(work)
    if as_json:
        print_json(found)
        return
    print_table(
        ("incident", "state", "until", "asked by", "approved by", "reason"),
        (
            (
                s["number"], s["state"], s["until"], s["requested_by"]["username"],
                s["approved_by"]["username"] if s["approved_by"] else "", s["reason"],
            )
            for s in found
        ),
        "No seals.",
    )  # fmt: skip


def transparency(
    page_format: Annotated[
        PageFormat, typer.Option("--format", help="html or md for a notice board.")
    ] = PageFormat.md,
    language: Annotated[
        PageLanguage, typer.Option("--language", help="Of html or md; json has both.")
    ] = PageLanguage.en,
) -> None:
    """Print the page of transparency, as everybody may read it without sign-in."""

    async def work() -> Any:
        from api.noticeboard import count_for_everybody

        async with opened_hub() as hub:
            return await count_for_everybody(hub)

    page = run(work)
    if page_format is PageFormat.json:
        print_json(page.model_dump(mode="json", by_alias=True))
        return
    from api.noticeboard_text import as_html, as_markdown

    write = as_html if page_format is PageFormat.html else as_markdown
    out.file.write(write(page, language.value))
