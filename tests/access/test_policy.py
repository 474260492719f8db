"""The policy, role by role, against the table of docs/design/door.md."""

from pathlib import Path

import pytest

from access.policy import (
    ACTIONS,
    ANONYMOUS,
    SCOPES,
    Actor,
    Circumstances,
    Policy,
    PolicyError,
    Resource,
    Role,
    RoleBinding,
)
from access.policy.service import ACTIONS_BY_KIND, POLICY_FILE
from core.ids import new_id

HERE = "demo/riverside"
INSIDE = "demo/riverside/jade-garden/cell-1"
OUTSIDE = ("demo", "", "demo/riverside2", "demo/hillside", "riverside", "Demo/Riverside")

# Every account, wherever it holds what.
OWN = "session.read session.delete account.self purpose.list law.read"
LOOK = "camera.list camera.read zone.read"
READ = "incident.list incident.read"
IN_FIELD = (
    "incident.transfer incident.send_back incident.suspend incident.resume incident.whistle "
    "incident.progress incident.photo incident.deliveries area.list duty.read duty.hand_over"
)
DESK = (
    "incident.close incident.triage incident.dispatch incident.reopen incident.merge "
    "incident.reject dispatch.read device.list"
)
FIELD = (
    f"{READ} incident.image incident.acknowledge incident.handle incident.feedback incident.note "
    f"{IN_FIELD}"
)
SETS_UP = "area.list duty.read dispatch.read gateway.list webhook.list device.list"
EXPORT = "export.request export.list"
SEAL = "seal.list seal.request seal.approve"
STAFF = "event.stream system.read"

# What each role may do in its area, by itself, to something that is no home and with a purpose
# named. Video, consent and second persons have tables and tests of their own.
TABLE: dict[Role, str] = {
    Role.RESIDENT: f"{OWN} home.read viewing.read",
    Role.DUTY_STAFF: f"{OWN} {LOOK} {FIELD} {EXPORT} {DESK} plan.read {STAFF}",
    Role.OPERATOR: f"{OWN} {LOOK} {READ} {EXPORT} incident.image incident.note "
    f"incident.whistle incident.deliveries area.list duty.read plan.read {STAFF}",
    Role.SUPERVISOR: f"{OWN} {LOOK} {FIELD} {EXPORT} {SEAL} {DESK} duty.write export.approve "
    f"export.preview "
    f"zone.write camera.mask storage.read plan.read {STAFF}",
    Role.PATROL: f"{OWN} {FIELD} event.stream",
    Role.DEPARTMENT: f"{OWN} {FIELD} event.stream",
    Role.AUDITOR: f"{OWN} view.list {READ} camera.list camera.read ledger.read ledger.verify "
    f"export.list seal.list seal.approve access.explain incident.deliveries storage.read "
    f"plan.read {SETS_UP}",
    Role.ADMINISTRATOR: f"{OWN} {LOOK} {STAFF} zone.write camera.probe camera.create camera.update "
    "camera.switch camera.switch_on camera.delete account.list account.create account.update "
    "account.grant account.reset "
    "household.list household.create household.update household.close "
    "token.list token.create token.delete access.explain "
    f"camera.configure camera.discover storage.read storage.check plan.read plan.write "
    f"{SETS_UP} area.write duty.write dispatch.write gateway.write webhook.write device.write",
}

VIDEO: dict[Role, set[str]] = {
    Role.DUTY_STAFF: {"shared_space"},
    Role.OPERATOR: {"public_space"},
    Role.SUPERVISOR: {"public_space", "shared_space"},
}
VIDEO_ACTIONS = {
    "camera.live",
    "camera.snapshot",
    "camera.listen",
    "camera.ptz",
    "recording.list",
    "recording.play",
    "recording.listen",
    "recording.lock",
}
BY_CONSENT = {"grant.list", "grant.give", "grant.withdraw"}
OF_A_HOUSEHOLD = {"household.alarm", "alarm.press", "alarm.follow"}
BY_TWO = {"export.download"}
NAMED = Circumstances(purpose="incident", reference=True)

PEOPLE = [role for role in Role if role is not Role.SERVICE]
OWN_EVERYWHERE = set(OWN.split())


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load()


def person(*bindings: tuple[Role, str]) -> Actor:
    return Actor(
        kind="account",
        id=new_id(),
        name="x",
        bindings=tuple(RoleBinding(role, area) for role, area in bindings),
    )


def kind_of(action: str) -> str:
    kind = next(kind for kind, actions in ACTIONS_BY_KIND.items() if action in actions)
    return "system" if kind == "site" else kind


def test_the_table_names_every_action_and_role() -> None:
    assert set(TABLE) == set(PEOPLE)
    named = {action for row in TABLE.values() for action in row.split()}
    services_only = {"signal.post", "worker.heartbeat", "metrics.read"}
    assert named | services_only | VIDEO_ACTIONS | BY_CONSENT | OF_A_HOUSEHOLD | BY_TWO == ACTIONS


@pytest.mark.parametrize("role", PEOPLE)
def test_a_role_may_do_what_its_row_says_in_its_area_and_nothing_else(
    policy: Policy, role: Role
) -> None:
    actor, allowed = person((role, HERE)), set(TABLE[role].split())
    for action in sorted(ACTIONS - VIDEO_ACTIONS):
        for area in (HERE, INSIDE):
            decision = policy.authorize(actor, action, Resource(kind_of(action), "1", area), NAMED)
            assert decision.allowed == (action in allowed), (action, area)
        for area in OUTSIDE:
            decision = policy.authorize(actor, action, Resource(kind_of(action), "1", area), NAMED)
            assert decision.allowed == (action in OWN_EVERYWHERE), (action, area)


@pytest.mark.parametrize("role", PEOPLE)
@pytest.mark.parametrize("action", sorted(VIDEO_ACTIONS))
def test_video_follows_the_kind_of_place_and_a_home_is_closed(
    policy: Policy, role: Role, action: str
) -> None:
    actor = person((role, HERE))
    for place in ("public_space", "shared_space", "home", "", "Public_Space"):
        for area, inside in ((HERE, True), (INSIDE, True), ("demo/riverside2", False), ("", False)):
            camera = Resource("camera", "1", area, place)
            decision = policy.authorize(actor, action, camera, NAMED)
            assert decision.allowed == (inside and place in VIDEO.get(role, set())), (place, area)


def test_every_role_at_once_still_opens_no_home(policy: Policy) -> None:
    actor = person(*[(role, "") for role in PEOPLE])
    assert not policy.authorize(actor, "camera.live", Resource("camera", "1", "a", "home")).allowed


def test_rights_do_not_mix_between_areas(policy: Policy) -> None:
    actor = person((Role.DUTY_STAFF, "a"), (Role.OPERATOR, "b"), (Role.DUTY_STAFF, "a/x"))
    assert policy.areas(actor, "incident.close") == ["a"]
    assert policy.areas(actor, "incident.list") == ["a", "b"]
    assert policy.areas(actor, "account.list") == []
    shared = Resource("camera", "1", "b/1", "shared_space")
    assert not policy.authorize(actor, "camera.live", shared).allowed
    everywhere = person((Role.DUTY_STAFF, "a"), (Role.PATROL, ""))
    assert policy.areas(everywhere, "incident.list") == [""]
    assert policy.areas(everywhere, "incident.close") == ["a"]


def test_nobody_grants_themselves_a_right(policy: Policy) -> None:
    actor = person((Role.ADMINISTRATOR, ""))
    own = Resource("account", str(actor.id), "demo")
    assert policy.authorize(actor, "account.update", own).allowed
    refused = policy.authorize(actor, "account.grant", own)
    assert not refused.allowed
    assert refused.policies == ("nobody-grants-themselves",)
    other = Resource("account", str(new_id()), "demo")
    assert policy.authorize(actor, "account.grant", other).allowed


def test_a_decision_names_its_policy(policy: Policy) -> None:
    actor = person((Role.OPERATOR, HERE))
    decision = policy.authorize(actor, "camera.live", Resource("camera", "1", HERE, "public_space"))
    assert decision.policies == ("operator-video",)


def test_nobody_is_nobody(policy: Policy) -> None:
    assert policy.actions(ANONYMOUS) == []
    assert not policy.authorize(ANONYMOUS, "session.read", Resource("session")).allowed


@pytest.mark.parametrize("scope", sorted(ACTIONS))
def test_a_service_may_do_what_its_scopes_name_out_of_a_closed_list(
    policy: Policy, scope: str
) -> None:
    actor = Actor(
        kind="service",
        id=new_id(),
        bindings=(RoleBinding(Role.SERVICE, HERE),),
        scopes=frozenset({scope}),
        households=frozenset({new_id()}) if scope in OF_A_HOUSEHOLD else frozenset(),
    )
    assert policy.actions(actor) == ([scope] if scope in SCOPES else [])
    far = Resource(kind_of(scope), "1", "demo/hillside", "public_space")
    site_wide = {"metrics.read", "system.read"}
    assert policy.authorize(actor, scope, far).allowed == (scope in site_wide)


def test_an_account_id_reused_as_a_service_id_opens_nothing(policy: Policy) -> None:
    account = person((Role.ADMINISTRATOR, ""))
    service = Actor(kind="service", id=account.id, bindings=account.bindings)
    assert policy.actions(service) == []


@pytest.mark.parametrize("name", ['a" || true', "a\\", "a\nb", "名", "{}", "x" * 190])
def test_an_area_is_data_whatever_it_is_called(policy: Policy, name: str) -> None:
    actor = person((Role.DUTY_STAFF, name))
    assert policy.authorize(actor, "incident.read", Resource("incident", name, name)).allowed
    assert not policy.authorize(actor, "incident.read", Resource("incident", name, "b")).allowed


def test_no_picture_leaves_for_a_live_view_without_a_role_that_sees_the_place(
    policy: Policy,
) -> None:
    """Live needs no purpose; a purpose opens nothing by itself."""
    public = Resource("camera", "1", HERE, "public_space")
    assert policy.authorize(person((Role.OPERATOR, HERE)), "camera.live", public).allowed
    for role in set(PEOPLE) - {Role.OPERATOR, Role.SUPERVISOR}:
        assert not policy.authorize(person((role, HERE)), "camera.live", public, NAMED).allowed


def test_a_mistaken_action_or_kind_is_an_error_not_a_denial(policy: Policy) -> None:
    with pytest.raises(ValueError, match="unknown action"):
        policy.authorize(person(), "camera.watch", Resource("camera"))
    with pytest.raises(ValueError, match="unknown kind"):
        policy.authorize(person(), "camera.live", Resource("kamera"))
    with pytest.raises(ValueError, match="unknown action"):
        policy.areas(person(), "camera.watch")
    with pytest.raises(ValueError, match="is not done to"):
        policy.authorize(person(), "camera.live", Resource("incident"))


@pytest.mark.parametrize(
    "text",
    [
        "permit (principal, action, resource",
        'permit (principal, action == Action::"camera.watch", resource);',
        "permit (principal is Account, action, resource) when { principal.mayor };",
        'permit (principal == ?principal, action == Action::"camera.list", resource);',
        'permit (principal is Account, action == Action::"camera.list", resource)\n'
        'when { resource.place == "home" };',
    ],
)
def test_a_policy_that_does_not_fit_stops_the_start(tmp_path: Path, text: str) -> None:
    own = tmp_path / "access.cedar"
    own.write_text(text)
    with pytest.raises(PolicyError) as stopped:
        Policy.load(own)
    assert str(own) in str(stopped.value)
    assert stopped.value.remedy


def test_a_centre_may_have_its_own_policy(tmp_path: Path) -> None:
    own = tmp_path / "access.cedar"
    own.write_text(
        '@id("all-residents-read")\n'
        'permit (principal is Account, action == Action::"camera.list", resource)\n'
        "when { resource in principal.resident };"
    )
    policy = Policy.load(own)
    assert policy.actions(person((Role.RESIDENT, "a"))) == ["camera.list"]
    assert policy.actions(person((Role.ADMINISTRATOR, ""))) == []
    assert Policy.load(tmp_path / "absent.cedar").actions(person((Role.RESIDENT, "a")))


def test_the_example_in_configs_is_the_policy_in_force() -> None:
    root = Path(__file__).resolve().parents[2]
    for name in ("access.cedar", "inviolable.cedar", "access.cedarschema"):
        in_force = POLICY_FILE.with_name(name)
        assert (root / "configs/policies" / name).read_bytes() == in_force.read_bytes()


def test_only_what_a_household_has_bound_presses_its_alarm(policy: Policy) -> None:
    home, other = new_id(), new_id()
    button = Actor(
        kind="service", id=new_id(), scopes=frozenset({"alarm.press"}), households=frozenset({home})
    )
    assert policy.authorize(button, "alarm.press", Resource("household", str(home))).allowed
    assert not policy.authorize(button, "alarm.press", Resource("household", str(other))).allowed
    area = Actor(
        kind="service",
        id=new_id(),
        bindings=(RoleBinding(Role.SERVICE, ""),),
        scopes=frozenset({"alarm.press", "signal.post"}),
    )
    for actor in (area, person(*[(role, "") for role in PEOPLE])):
        refused = policy.authorize(actor, "alarm.press", Resource("household", str(home)))
        assert refused.policies == ("alarm-only-by-household",)
