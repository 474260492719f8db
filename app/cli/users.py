"""`camera-hub users …` and `camera-hub tokens …`."""

import secrets
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.context import err, opened_hub, out, print_table, run
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from access.policy.types import RoleBinding

app = typer.Typer(help="Accounts of people.", no_args_is_help=True)
tokens = typer.Typer(help="Service tokens of programs and devices.", no_args_is_help=True)

Username = Annotated[str, typer.Argument(help="The account's username.", show_default=False)]
RoleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        help="ROLE or ROLE@AREA, e.g. duty_staff@county/town/garden; without area: the whole site. "
        "May be repeated.",
    ),
]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


def _password(from_stdin: bool) -> tuple[str, bool]:
    """Return a password and whether it was made here: read, asked for, or random."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\n"), False
    if sys.stdin.isatty():
        typed: str = typer.prompt(
            "Password (empty: make one)", default="", hide_input=True, show_default=False
        )
        if typed:
            typer.prompt("Again", hide_input=True, value_proc=_same_as(typed))
            return typed, False
    return secrets.token_urlsafe(12), True


def _same_as(first: str) -> Callable[[str], str]:
    def check(second: str) -> str:
        if second != first:
            raise typer.BadParameter("the two passwords differ")
        return second

    return check


def _bindings(roles: list[str] | None) -> "list[RoleBinding]":
    from access.policy.types import Role, RoleBinding

    bindings = []
    for text in roles or []:
        role, _, area = text.partition("@")
        try:
            bindings.append(RoleBinding(Role(role), area))
        except ValueError as error:
            names = ", ".join(r.value for r in Role if r is not Role.SERVICE)
            raise InvalidInputError(
                f"There is no role '{role}'.", remedy=f"Choose among {names}."
            ) from error
    return bindings


@app.command("add")
def add(
    username: Username,
    role: RoleOption = None,
    name: Annotated[str, typer.Option(help="Name to show; default: the username.")] = "",
    locale: Annotated[str, typer.Option(help="zh-CN or en.")] = "zh-CN",
    password_stdin: FromStdin = False,
) -> None:
    """Make an account; without a terminal a random password is made and shown once."""
    password, made = _password(password_stdin)
    bindings = _bindings(role)

    async def work() -> None:
        async with opened_hub() as hub:
            hashed = await hub.accounts.hash_password(password, username=username)
            async with hub.database.transaction() as session:
                await hub.accounts.create(
                    session,
                    username=username,
                    display_name=name or username,
                    password=hashed,
                    roles=bindings,
                    locale=locale,
                )

    run(work)
    out.print(f"Account '{username}' made.", highlight=False)
    if made:
        out.print(f"Password (shown once): {password}", highlight=False, markup=False)
    if not bindings:
        err.print("It has no role yet and may do nothing: add one with --role in the console.")


@app.command("list")
def list_users() -> None:
    """List the accounts."""

    async def work() -> list[tuple[object, ...]]:
        async with opened_hub() as hub, hub.database.read() as session:
            found = await hub.accounts.page(session, limit=10_000)
            return [
                (
                    a.username,
                    a.display_name,
                    ", ".join(f"{r.role}@{r.area or '(site)'}" for r in a.roles),
                    "" if a.active else "off",
                )
                for a in found
            ]

    print_table(("username", "name", "roles", ""), run(work), "No accounts yet: `users add`.")


@app.command("passwd")
def passwd(username: Username, password_stdin: FromStdin = False) -> None:
    """Give an account a new password and end its sessions."""
    password, made = _password(password_stdin)

    async def work() -> None:
        async with opened_hub() as hub:
            hashed = await hub.accounts.hash_password(password, username=username)
            async with hub.database.transaction() as session:
                account = await hub.accounts.get_by_username(session, username)
                await hub.accounts.update(session, account, password=hashed)
                await hub.sessions.end_all(session, account.id, "command line")

    run(work)
    out.print(f"'{username}' has a new password and was signed out everywhere.", highlight=False)
    if made:
        out.print(f"Password (shown once): {password}", highlight=False, markup=False)


@app.command("deactivate")
def deactivate(username: Username) -> None:
    """Switch an account off and end its sessions; what it did stays on record."""

    async def work() -> None:
        async with opened_hub() as hub, hub.database.transaction() as session:
            account = await hub.accounts.get_by_username(session, username)
            await hub.accounts.update(session, account, active=False)
            await hub.sessions.end_all(session, account.id, "command line")

    run(work)
    out.print(f"'{username}' is switched off.", highlight=False)


@tokens.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="What it is for.", show_default=False)],
    scope: Annotated[list[str], typer.Option(help="e.g. signal.post; may be repeated.")],
    area: Annotated[str, typer.Option(help="Area it counts in; default: the whole site.")] = "",
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.")] = None,
) -> None:
    """Make a service token; it is shown once."""

    async def work() -> str:
        async with opened_hub() as hub, hub.database.transaction() as session:
            expires = hub.clock.now() + timedelta(days=days) if days else None
            _row, token = await hub.tokens.issue(
                session, name=name, scopes=scope, area=area, expires_at=expires
            )
            return str(token)

    token = run(work)
    err.print("The token is shown once:")
    out.print(token, highlight=False, markup=False)
