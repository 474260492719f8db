"""A line of the door's table, and the words in it for those who come together."""

from dataclasses import dataclass

WORKERS = "duty_staff supervisor"
QUEUE = "duty_staff operator supervisor patrol department auditor"
FIELD = "duty_staff supervisor patrol department"
SEES_INCIDENT = "duty_staff operator supervisor patrol department auditor"
SEES_PICTURE = "duty_staff operator supervisor patrol department"
SEES_CAMERA = "duty_staff operator supervisor auditor administrator"
SEES_ZONES = "duty_staff operator supervisor administrator"
ADMIN = "administrator"
AREAS = "duty_staff operator supervisor patrol department auditor administrator"
SETS_DUTY = "supervisor administrator"
DISPATCH = "duty_staff supervisor auditor administrator"
PLAYS_BACK = "duty_staff operator supervisor household"
NOBODY = "00000000-0000-7000-8000-000000000000"

# Consent. Whoever configures or audits gets no picture, whatever a household gives them.
WATCHERS = ("resident", "duty_staff", "patrol", "department", "operator", "supervisor")
SHARED_WITH = " ".join(f"{role}+share" for role in WATCHERS)
ANSWERS = "duty_staff+alarm supervisor+alarm"
KEEPS_HOMES = "administrator administrator+share administrator+alarm"
AUDITS_HOMES = "auditor auditor+share auditor+alarm"
KNOWS_HOME = f"household {KEEPS_HOMES} {AUDITS_HOMES} {SHARED_WITH} " + " ".join(
    f"{role}+alarm" for role in WATCHERS
)


@dataclass(frozen=True)
class Row:
    """One route, and who gets through it."""

    method: str
    path: str
    who: str
    things: bool = False
    body: object = None
    shared: str | None = None
    watched: str | None = None
    home: str | None = None
    purpose: str = ""

    @property
    def changes(self) -> bool:
        """Whether whoever gets through changes something."""
        return self.method not in {"GET", "WS"}

    @property
    def url(self) -> str:
        """The path with the purpose in it, if the route needs one."""
        return f"{self.path}?{self.purpose}" if self.purpose else self.path

    def who_at(self, kind: str) -> str:
        """Return who gets through at a shared, watched or home place."""
        shared = self.who if self.shared is None else self.shared
        if kind == "home":
            return shared if self.home is None else self.home
        return self.watched if kind == "watched" and self.watched is not None else shared
