"""The policy of the house: actors, roles, areas, and the one question asked of all of them."""

from access.policy.areas import covers, in_areas, normalise_area
from access.policy.service import ACTIONS, SCOPES, Policy, PolicyError
from access.policy.types import (
    ANONYMOUS,
    ORDINARY,
    Actor,
    Circumstances,
    Decision,
    Resource,
    Role,
    RoleBinding,
)

__all__ = [
    "ACTIONS",
    "ANONYMOUS",
    "ORDINARY",
    "SCOPES",
    "Actor",
    "Circumstances",
    "Decision",
    "Policy",
    "PolicyError",
    "Resource",
    "Role",
    "RoleBinding",
    "covers",
    "in_areas",
    "normalise_area",
]
