"""The roles of an account: as rows, as bindings, and which ones cannot be held together."""

from collections.abc import Iterable, Sequence

from access.accounts.models import Account, AccountRole
from access.policy.areas import normalise_area
from access.policy.types import Role, RoleBinding
from core.errors import ConflictError, InvalidInputError
from core.ids import new_id

SEES_VIDEO = frozenset({Role.DUTY_STAFF, Role.OPERATOR, Role.SUPERVISOR})
SEES_NO_VIDEO = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})


def bindings_of(account: Account) -> tuple[RoleBinding, ...]:
    """Return the roles of `account`."""
    return tuple(RoleBinding(Role(row.role), row.area) for row in account.roles)


def refuse_conflicts(roles: Iterable[RoleBinding]) -> None:
    """Raise if one account would both look and decide, or look and check who looked.

    Areas make no difference: whoever gives rights in one place and watches in another could
    arrange both with a colleague who does the reverse.

    Raises:
        ConflictError: code `conflicting-roles`.
    """
    held = {binding.role for binding in roles}
    watching, deciding = held & SEES_VIDEO, held & SEES_NO_VIDEO
    if watching and deciding:
        raise ConflictError(
            f"One account cannot hold {_names(deciding)} together with {_names(watching)}: "
            "whoever gives rights or checks the records sees no video.",
            remedy="Make a second account for the other task, or give it to another person.",
            code="conflicting-roles",
        )


def role_rows(roles: Sequence[RoleBinding]) -> list[AccountRole]:
    """Return `roles` as rows, each once, with areas in their stored form.

    Raises:
        ConflictError: code `conflicting-roles`.
        InvalidInputError: a role or an area that an account cannot hold.
    """
    refuse_conflicts(roles)
    rows: dict[tuple[str, str], AccountRole] = {}
    for binding in roles:
        if binding.role is Role.SERVICE:
            raise InvalidInputError(
                "The role 'service' is for programs.",
                remedy="Make a token instead of an account.",
                code="invalid-role",
            )
        area = normalise_area(binding.area)
        rows[binding.role.value, area] = AccountRole(
            id=new_id(), role=binding.role.value, area=area
        )
    return list(rows.values())


def in_words(roles: Iterable[RoleBinding]) -> str:
    """Return `roles` as one line, for the ledger and for tables: `patrol@demo, auditor`."""
    return ", ".join(sorted(f"{b.role.value}@{b.area}" if b.area else b.role.value for b in roles))


def _names(roles: Iterable[Role]) -> str:
    return ", ".join(sorted(role.value for role in roles))
