"""`camera-hub access …`: why somebody may do something, who may what, and whether policies fit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from app.cli.context import out, print_json, reading, run, site_settings

if TYPE_CHECKING:
    from api.explaining import ExplanationOut

app = typer.Typer(help="Who may do what, and why.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("explain")
def explain(
    username: Annotated[str, typer.Argument(help="Who.", show_default=False)],
    action: Annotated[str, typer.Argument(help="e.g. camera.live", show_default=False)],
    resource: Annotated[
        str,
        typer.Argument(
            help="camera:<id or name>, incident:<number>, account:<username> or area:<path>",
            show_default=False,
        ),
    ],
    grant: Annotated[str, typer.Option(help="Suppose a live grant: share or alarm.")] = "",
    purpose: Annotated[str, typer.Option(help="e.g. incident, case")] = "",
    reference: Annotated[str, typer.Option(help="What the purpose refers to.")] = "",
    second_person: Annotated[
        bool, typer.Option("--second-person", help="Suppose that somebody else approved.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Say whether the policy permits it at this moment, by which policy, or what is missing.

    Consent that is live now is looked up. The exit status is 0 for a yes and 1 for a no.
    """
    if grant not in {"", "share", "alarm"}:
        raise typer.BadParameter("choose share or alarm", param_hint="--grant")

    async def work() -> "ExplanationOut":
        from api.explaining import ExplainRequest, explain_access

        body = ExplainRequest(
            username=username,
            action=action,
            resource=resource,
            grant=cast(Literal["", "share", "alarm"], grant),
            purpose=purpose,
            reference=reference,
            second_person=second_person,
        )
        async with reading() as (hub, session):
            return await explain_access(hub, session, body, None)

    found = run(work)
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)
    if not found.allowed:
        raise typer.Exit(1)


def _show(found: "ExplanationOut") -> None:
    def line(text: str = "") -> None:
        out.print(text, highlight=False, markup=False, soft_wrap=True)

    verdict = "permitted" if found.allowed else "denied"
    line(f"{verdict}: {found.username} {found.action} {found.resource} ({_place(found)})")
    line(f"  at this moment: {_moment(found)}")
    for note in found.notes:
        line(f"  note: {note}")
    if not found.policies:
        line("  nothing permits it: there is no policy for this.")
    for policy in found.policies:
        line()
        line(f'{policy.effect} by "{policy.id}" ({policy.file}, line {policy.line}):')
        for text in policy.text.splitlines():
            line(f"    {text}")
    if found.missing:
        line()
        line("it would be permitted with:")
        for missing in found.missing:
            line(f"  - {', and '.join(missing.needs)}  [{', '.join(missing.policies)}]")
    elif not found.allowed:
        line("  nothing that could be changed would permit it.")


def _place(found: "ExplanationOut") -> str:
    return ", ".join(part for part in (found.place_kind, found.area or "the whole site") if part)


def _moment(found: "ExplanationOut") -> str:
    held = found.circumstances
    said = [f"{held.grant} grant" if held.grant else "no grant"]
    said.append(f"purpose {held.purpose}" if held.purpose else "no purpose named")
    if held.purpose and not held.reference:
        said.append("its reference does not exist")
    said += ["blurred"] * held.redacted + ["approved by a second person"] * held.second_person
    return ", ".join(said)


@app.command("check")
def check(
    file: Annotated[
        Path | None,
        typer.Argument(help="A policy file; default: the one in force.", show_default=False),
    ] = None,
) -> None:
    """Check a policy file against the schema, as every start does, without a restart."""
    from access.policy.service import INVIOLABLE_FILE, Policy
    from api.access_services import policy_file
    from core.errors import NotFoundError

    if file is not None and not file.exists():
        raise NotFoundError(f"There is no file {file}.", remedy="Name the policy file to check.")
    policy = Policy.load(file if file is not None else policy_file(site_settings()))
    fixed = sum(text.file == str(INVIOLABLE_FILE) for text in policy.texts)
    out.print(
        f"{policy.source} fits the schema: {len(policy.texts) - fixed} policies, and {fixed} "
        "that hold whatever they say.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@app.command("roles")
def roles(json: AsJson = False) -> None:
    """Print who may what in the area of a role, by kind of place where it matters.

    `home` stands for what consent opens: the own household, a share, an alarm that one answers.
    """
    from access.policy.matrix import role_matrix
    from access.policy.service import Policy
    from api.access_services import policy_file

    found = role_matrix(Policy.load(policy_file(site_settings())))
    if json:
        print_json(found)
        return
    _print_matrix(found)


_SHORT = {
    "resident": "resident",
    "duty_staff": "duty",
    "patrol": "patrol",
    "department": "dept",
    "operator": "operator",
    "supervisor": "superv",
    "auditor": "auditor",
    "administrator": "admin",
    "household": "househ",
}
_LETTER = {"yes": "yes", "public": "P", "shared": "S", "home": "H", "share": "s", "alarm": "a"}


def _print_matrix(found: dict[str, dict[str, str]]) -> None:
    width = max(map(len, found))
    lines = [" ".join(["action".ljust(width), *_SHORT.values()])]
    for action, cells in found.items():
        marks = [
            "".join(_LETTER[word] for word in cells[role].split(", ") if word).ljust(len(short))
            for role, short in _SHORT.items()
        ]
        lines.append(" ".join([action.ljust(width), *marks]).rstrip())
    lines.append("")
    lines.append(
        "P public space, S shared space, H home; s a home shared with them, a a home whose"
    )
    lines.append(
        "alarm they answer. A purpose, a blurred picture or a second person may be needed."
    )
    out.file.write("\n".join(lines) + "\n")
