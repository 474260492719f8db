"""`camera-hub users …` and `camera-hub tokens …`."""

import secrets
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.context import check_known_areas, err, opened_hub, out, print_table, reading, run
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from access.accounts.models import Account
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
NoChangeNeeded = Annotated[
    bool,
    typer.Option(
        "--no-change-needed",
        help="The password may stay: only its holder knows it. Without this, and unless it is "
        "typed here, the next sign-in begins with a new one.",
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
    no_change_needed: NoChangeNeeded = False,
) -> None:
    """Make an account; without a terminal a random password is made and shown once."""
    password, made = _password(password_stdin)
    must_change = not no_change_needed and (made or password_stdin)
    bindings = _bindings(role)

    async def work() -> None:
        from access.accounts.service import COMMAND_LINE

        async with opened_hub() as hub:
            hashed = await hub.accounts.hash_password(password, username=username)
            async with hub.database.transaction() as session:
                await check_known_areas(session, (role.area for role in bindings))
                await hub.accounts.create(
                    session,
                    username=username,
                    display_name=name or username,
                    password=hashed,
                    roles=bindings,
                    locale=locale,
                    password_set_by=COMMAND_LINE if must_change else None,
                    must_change_password=must_change,
                )

    run(work)
    out.print(f"Account '{username}' made.", highlight=False)
    if made:
        out.print(f"Password (shown once): {password}", highlight=False, markup=False)
    if must_change:
        err.print("The first sign-in asks for a new password that only its holder knows.")
    if not bindings:
        err.print("It has no role yet and may do nothing: add one with --role in the console.")


@app.command("list")
def list_users() -> None:
    """List the accounts with their roles and second factors."""

    async def work() -> list[tuple[object, ...]]:
        async with reading() as (hub, session):
            found = await hub.accounts.page(session, limit=10_000)
            factors = await hub.factors.counted(session, (a.id for a in found))
            return [
                (
                    a.username,
                    a.display_name,
                    ", ".join(f"{r.role}@{r.area or '(site)'}" for r in a.roles),
                    _factors_in_words(*factors[a.id]),
                    _state(a),
                )
                for a in found
            ]

    columns = ("username", "name", "roles", "second factors", "state")
    print_table(columns, run(work), "No accounts yet: `users add`.")


def _factors_in_words(totp: bool, passkeys: int) -> str:
    words = ["app"] if totp else []
    if passkeys:
        words.append("1 passkey" if passkeys == 1 else f"{passkeys} passkeys")
    return ", ".join(words) or "none"


def _state(account: "Account") -> str:
    if not account.active:
        return "off"
    return "must change the password" if account.must_change_password else ""


@app.command("roles")
def set_roles(username: Username, role: RoleOption = None) -> None:
    """Give an account these roles instead of those that it has; without --role, none."""
    bindings = _bindings(role)

    async def work() -> str:
        from access.accounts.roles import bindings_of, in_words

        async with opened_hub() as hub, hub.database.transaction() as session:
            account = await hub.accounts.get_by_username(session, username)
            new = set(bindings) - set(bindings_of(account))
            await check_known_areas(session, (role.area for role in new))
            account = await hub.accounts.update(session, account, roles=bindings)
            return in_words(bindings_of(account))

    out.print(f"'{username}' holds: {run(work) or 'no role'}.", highlight=False, markup=False)


@app.command("passwd")
def passwd(
    username: Username,
    password_stdin: FromStdin = False,
    no_change_needed: NoChangeNeeded = False,
) -> None:
    """Give an account a new password and end its sessions."""
    password, made = _password(password_stdin)
    must_change = not no_change_needed and (made or password_stdin)

    async def work() -> None:
        from access.accounts.service import COMMAND_LINE

        async with opened_hub() as hub:
            hashed = await hub.accounts.hash_password(password, username=username)
            async with hub.database.transaction() as session:
                found = await hub.accounts.get_by_username(session, username)
                account = await hub.accounts.get_for_change(session, found.id)
                await hub.factors.challenges.forget(session, account.id)
                await hub.sessions.end_all(session, account.id, COMMAND_LINE)
                await hub.accounts.update(
                    session,
                    account,
                    password=hashed,
                    password_set_by=COMMAND_LINE,
                    must_change_password=must_change,
                )

    run(work)
    out.print(f"'{username}' has a new password and was signed out everywhere.", highlight=False)
    if made:
        out.print(f"Password (shown once): {password}", highlight=False, markup=False)
    if must_change:
        err.print("The next sign-in asks for a new password that only its holder knows.")


@app.command("deactivate")
def deactivate(username: Username) -> None:
    """Switch an account off and end its sessions; what it did stays on record."""
    run(lambda: _set_active(username, active=False))
    out.print(f"'{username}' is switched off.", highlight=False)


@app.command("activate")
def activate(username: Username) -> None:
    """Switch an account on again."""
    run(lambda: _set_active(username, active=True))
    out.print(f"'{username}' may sign in again.", highlight=False)


async def _set_active(username: str, *, active: bool) -> None:
    async with opened_hub() as hub, hub.database.transaction() as session:
        found = await hub.accounts.get_by_username(session, username)
        account = await hub.accounts.get_for_change(session, found.id)
        if not active:
            await hub.factors.challenges.forget(session, account.id)
            await hub.sessions.end_all(session, account.id, "command line")
        await hub.accounts.update(session, account, active=active)


@app.command("sessions")
def list_sessions(
    username: Username,
    end: Annotated[bool, typer.Option("--end", help="End them all.")] = False,
) -> None:
    """List where an account is signed in, or end all its sessions."""

    async def work() -> list[tuple[object, ...]]:
        async with opened_hub() as hub, hub.database.transaction() as session:
            account = await hub.accounts.get_by_username(session, username)
            rows = await hub.sessions.of(session, account.id)
            if end:
                await hub.sessions.end_all(session, account.id, "command line")
            return [
                (
                    row.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
                    row.last_seen_at.astimezone().strftime("%Y-%m-%d %H:%M"),
                    row.address,
                    row.user_agent,
                )
                for row in rows
            ]

    found = run(work)
    print_table(("since", "last used", "address", "browser"), found, "Signed in nowhere.")
    if end and found:
        out.print(f"Ended: {len(found)}.", highlight=False)


@app.command("reset-factors")
def reset_factors(username: Username) -> None:
    """Remove the second factors of somebody who has lost them, and end all sessions."""

    async def work() -> None:
        async with opened_hub() as hub, hub.database.transaction() as session:
            found = await hub.accounts.get_by_username(session, username)
            account = await hub.accounts.get_for_change(session, found.id)
            await hub.factors.reset(session, account, None)
            await hub.sessions.end_all(session, account.id, "command line")

    run(work)
    out.print(f"'{username}' has no second factor and was signed out.", highlight=False)


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
            await check_known_areas(session, [area])
            _row, token = await hub.tokens.issue(
                session, name=name, scopes=scope, area=area, expires_at=expires
            )
            return str(token)

    token = run(work)
    err.print("The token is shown once:")
    out.print(token, highlight=False, markup=False)
