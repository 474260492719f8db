"""Homes, consent, purpose, second persons: what no role and no centre's own policy can open."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.policy import (
    ACTIONS,
    ANONYMOUS,
    ORDINARY,
    SCOPES,
    Actor,
    Circumstances,
    Policy,
    PolicyError,
    Resource,
    Role,
    RoleBinding,
)
from access.policy.actions import CEDAR_TYPE, CEDAR_TYPE_OF_ACTION
from access.policy.areas import covers
from access.policy.service import INVIOLABLE_FILE, POLICY_FILE, SCHEMA_FILE
from access.policy.text import policies_in
from core.ids import new_id
from tests.support.examples import examples

HERE = "demo/here"
HOUSEHOLD = UUID(int=7)
PEOPLE = [role for role in Role if role is not Role.SERVICE]
SOUNDS = ("camera.listen", "recording.listen")
PICTURES = (
    "camera.live",
    "camera.snapshot",
    "recording.play",
    "incident.image",
    "export.preview",
    "export.download",
    *SOUNDS,
)
NAMED = Circumstances(purpose="case", reference=True)
SHARE, ALARM = replace(NAMED, grant="share"), replace(NAMED, grant="alarm")
# Permits everything to everybody, in the words of the schema.
EVERYTHING = '@id("open") permit (principal, action, resource);'


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load()


@pytest.fixture(scope="module")
def permissive() -> Policy:
    return Policy(EVERYTHING, SCHEMA_FILE.read_text(), "own")


def person(*bindings: tuple[Role, str], lives: UUID | None = None) -> Actor:
    return Actor(
        kind="account",
        id=new_id(),
        bindings=tuple(RoleBinding(role, area) for role, area in bindings),
        households=frozenset() if lives is None else frozenset({lives}),
    )


def home(kind: str = "camera", household: UUID = HOUSEHOLD) -> Resource:
    return Resource(kind, "1", HERE, "home", household=str(household))


def thing_of(action: str) -> str:
    """Return a kind of thing to which the action is done."""
    return next(k for k, t in CEDAR_TYPE.items() if t == CEDAR_TYPE_OF_ACTION[action])


def test_a_household_sees_its_own_home_without_a_reason_and_no_other(policy: Policy) -> None:
    member = person((Role.RESIDENT, HERE), lives=HOUSEHOLD)
    for action in (
        "camera.list",
        "camera.read",
        "camera.live",
        "camera.snapshot",
        "camera.mask",
        "camera.switch",
        "zone.read",
        "recording.list",
        "recording.play",
    ):
        assert policy.authorize(member, action, home()).allowed, action
        other = policy.authorize(member, action, home(household=UUID(int=8)), NAMED)
        assert not other.allowed, action
    for action in ("grant.list", "grant.give", "grant.withdraw"):
        assert policy.authorize(member, action, home("grant")).allowed
        assert not policy.authorize(member, action, home("grant", UUID(int=8))).allowed
    picture = home("incident")
    assert policy.authorize(member, "incident.image", picture).allowed
    # Nobody lives in a place that is no home, even if somebody wrote a household beside it.
    wrong = replace(home(), place_kind="public_space")
    assert not policy.authorize(member, "camera.live", wrong).allowed


@pytest.mark.parametrize("role", PEOPLE)
def test_no_role_opens_a_home_and_consent_opens_what_it_says(policy: Policy, role: Role) -> None:
    actor = person((role, HERE))
    blind = role in {Role.ADMINISTRATOR, Role.AUDITOR}
    answers = role in {Role.DUTY_STAFF, Role.SUPERVISOR}
    for action in ("camera.live", "camera.snapshot"):
        assert not policy.authorize(actor, action, home(), NAMED).allowed
        assert policy.authorize(actor, action, home(), SHARE).allowed == (not blind)
        assert policy.authorize(actor, action, home(), ALARM).allowed == answers
        assert not policy.authorize(person((role, "demo/far")), action, home(), ALARM).allowed
    image = home("incident")
    assert not policy.authorize(actor, "incident.image", image).allowed
    assert not policy.authorize(actor, "incident.image", image, SHARE).allowed
    assert policy.authorize(actor, "incident.image", image, ALARM).allowed == answers
    for action in ("recording.list", "recording.play"):
        for circumstances in (NAMED, SHARE, ALARM):
            assert not policy.authorize(actor, action, home(), circumstances).allowed
    known = role in {Role.ADMINISTRATOR, Role.AUDITOR}
    assert policy.authorize(actor, "camera.read", home()).allowed == known
    assert policy.authorize(actor, "camera.read", home(), SHARE).allowed


def test_masks_and_consent_of_a_home_are_its_households(policy: Policy) -> None:
    for role in PEOPLE:
        actor = person((role, ""))
        assert not policy.authorize(actor, "camera.mask", home(), SHARE).allowed
        for action in ("grant.give", "grant.withdraw"):
            assert not policy.authorize(actor, action, home("grant"), SHARE).allowed
    supervisor = person((Role.SUPERVISOR, HERE))
    shared = Resource("camera", "1", HERE, "shared_space")
    assert policy.authorize(supervisor, "camera.mask", shared).allowed


def test_a_snapshot_needs_purpose_and_reference_and_live_does_not(policy: Policy) -> None:
    duty = person((Role.DUTY_STAFF, HERE))
    hall = Resource("camera", "1", HERE, "shared_space")
    assert policy.authorize(duty, "camera.live", hall).allowed
    for action in ("camera.snapshot", "recording.play"):
        assert policy.authorize(duty, action, hall, NAMED).allowed
        for short in (ORDINARY, Circumstances(purpose="case"), Circumstances(reference=True)):
            refused = policy.authorize(duty, action, hall, short)
            assert not refused.allowed
            assert refused.policies == ("purpose-and-reference",)


def test_nobody_hands_out_an_export_alone(policy: Policy) -> None:
    supervisor = person((Role.SUPERVISOR, HERE))
    export = Resource("export", "1", HERE, "public_space")
    assert policy.authorize(supervisor, "export.request", export, NAMED).allowed
    assert not policy.authorize(supervisor, "export.request", export).allowed
    alone = policy.authorize(supervisor, "export.download", export, NAMED)
    assert alone.policies == ("export-needs-a-second-person",)
    both = replace(NAMED, second_person=True)
    assert policy.authorize(supervisor, "export.download", export, both).allowed
    operator = person((Role.OPERATOR, HERE))
    assert not policy.authorize(operator, "export.approve", export, both).allowed


def test_residents_watch_shared_places_that_are_open_to_them_and_only_blurred(
    policy: Policy,
) -> None:
    resident = person((Role.RESIDENT, HERE))
    blurred = Circumstances(redacted=True)
    hall = Resource("camera", "1", HERE, "shared_space", residents_may_watch=True)
    assert policy.authorize(resident, "camera.live", hall, blurred).allowed
    assert policy.authorize(resident, "camera.read", hall).allowed
    for other, circumstances in (
        (hall, ORDINARY),
        (replace(hall, residents_may_watch=False), blurred),
        (replace(hall, place_kind="public_space"), blurred),
        (replace(hall, place_kind="home"), blurred),
        (replace(hall, area="demo/far"), blurred),
    ):
        assert not policy.authorize(resident, "camera.live", other, circumstances).allowed
    for action in ("camera.snapshot", "recording.play"):
        assert not policy.authorize(resident, action, hall, replace(NAMED, redacted=True)).allowed


def test_neighbours_see_a_shared_place_and_do_not_hear_it(policy: Policy) -> None:
    resident = person((Role.RESIDENT, HERE))
    hall = Resource("camera", "1", HERE, "shared_space", residents_may_watch=True)
    for action, redacted in product(SOUNDS, (False, True)):
        asked = replace(NAMED, redacted=redacted)
        assert not policy.authorize(resident, action, hall, asked).allowed
        assert not policy.somewhere(person((Role.PATROL, HERE)), "recording.listen")
    assert not policy.areas(resident, "camera.listen")


def test_who_works_with_a_camera_hears_it_for_a_reason(policy: Policy) -> None:
    hall = Resource("camera", "1", HERE, "shared_space")
    street = Resource("camera", "1", HERE, "public_space")
    duty, operator = person((Role.DUTY_STAFF, HERE)), person((Role.OPERATOR, HERE))
    supervisor = person((Role.SUPERVISOR, HERE))
    for action in SOUNDS:
        assert policy.areas(duty, action) == [HERE]
        for actor, place in ((duty, hall), (operator, street), (supervisor, hall)):
            assert policy.authorize(actor, action, place, NAMED).allowed
            for short in (ORDINARY, Circumstances(purpose="case"), Circumstances(reference=True)):
                refused = policy.authorize(actor, action, place, short)
                assert "sound-only-for-work-or-in-a-home" in refused.policies
        assert not policy.authorize(duty, action, street, NAMED).allowed
        assert not policy.authorize(operator, action, hall, NAMED).allowed
        for role in (Role.ADMINISTRATOR, Role.AUDITOR, Role.PATROL, Role.DEPARTMENT):
            assert not policy.authorize(person((role, HERE)), action, hall, NAMED).allowed


def test_a_home_is_heard_by_its_household_and_by_whom_it_shows_itself_as_it_is(
    policy: Policy,
) -> None:
    member = person((Role.RESIDENT, HERE), lives=HOUSEHOLD)
    duty, guest = person((Role.DUTY_STAFF, HERE)), person()
    for action in SOUNDS:
        assert policy.authorize(member, action, home()).allowed
        assert not policy.authorize(duty, action, home(), NAMED).allowed
        assert not policy.authorize(member, action, home(household=UUID(int=9))).allowed
    shown = Circumstances(grant="share")
    assert policy.authorize(guest, "camera.listen", home(), shown).allowed
    assert not policy.authorize(
        guest, "camera.listen", home(), replace(shown, redacted=True)
    ).allowed
    assert policy.authorize(duty, "camera.listen", home(), Circumstances(grant="alarm")).allowed
    assert not policy.authorize(
        guest, "camera.listen", home(), Circumstances(grant="alarm")
    ).allowed
    for grant in ("share", "alarm"):
        asked = replace(NAMED, grant=grant)
        assert not policy.authorize(duty, "recording.listen", home(), asked).allowed


def test_what_consent_opens_widens_no_list(policy: Policy) -> None:
    """`areas` filters queries: the own household or a grant must not make it the whole site."""
    member = person((Role.RESIDENT, HERE), lives=HOUSEHOLD)
    alone = person(lives=HOUSEHOLD)
    assert policy.areas(alone, "camera.list") == []
    assert policy.areas(alone, "incident.list") == []
    assert policy.areas(member, "camera.live") == [HERE]
    assert policy.areas(person((Role.PATROL, HERE)), "camera.list") == []
    assert policy.areas(alone, "grant.list") == []
    for action in ("camera.list", "camera.live", "grant.give", "home.read"):
        assert policy.somewhere(alone, action), action
    assert policy.somewhere(person((Role.PATROL, HERE)), "camera.live")
    assert not policy.somewhere(person((Role.PATROL, HERE)), "grant.give")
    assert not policy.somewhere(person((Role.AUDITOR, HERE)), "camera.live")
    assert not policy.somewhere(ANONYMOUS, "camera.live")


# ---- Every combination, and random ones --------------------------------------------------------

areas_ = st.sampled_from(["", "demo", HERE, "demo/far"])
bindings_ = st.lists(st.builds(RoleBinding, st.sampled_from(PEOPLE), areas_), max_size=4)
households_ = st.sampled_from([frozenset[UUID](), frozenset({HOUSEHOLD}), frozenset({UUID(int=8)})])
accounts_ = st.builds(
    lambda bindings, households: Actor(
        kind="account", id=UUID(int=1), bindings=tuple(bindings), households=households
    ),
    bindings_,
    households_,
)
services_ = st.builds(
    lambda area, scopes: Actor(
        kind="service",
        id=UUID(int=2),
        bindings=(RoleBinding(Role.SERVICE, area),),
        scopes=frozenset(scopes),
    ),
    areas_,
    st.sets(st.sampled_from(sorted(ACTIONS))),
)
actors_ = st.one_of(accounts_, services_, st.just(ANONYMOUS))
circumstances_ = st.builds(
    Circumstances,
    grant=st.sampled_from(["", "share", "alarm"]),
    purpose=st.sampled_from(["", "incident"]),
    reference=st.booleans(),
    redacted=st.booleans(),
    second_person=st.booleans(),
)
actions_ = st.sampled_from(sorted(ACTIONS))


@st.composite
def questions(draw: st.DrawFn) -> tuple[Actor, str, Resource, Circumstances]:
    action = draw(actions_)
    actor = draw(actors_)
    itself = actor.kind == "account" and thing_of(action) == "account" and draw(st.booleans())
    resource = Resource(
        thing_of(action),
        str(actor.id) if itself else "thing",
        draw(areas_),
        draw(st.sampled_from(["public_space", "shared_space", "home", ""])),
        household=draw(st.sampled_from(["", str(HOUSEHOLD)])),
        residents_may_watch=draw(st.booleans()),
    )
    return actor, action, resource, draw(circumstances_)


def lives_there(actor: Actor, resource: Resource) -> bool:
    return resource.household != "" and UUID(resource.household) in actor.households


def seen_wrongly(
    actor: Actor, action: str, resource: Resource, given_: Circumstances
) -> Iterator[str]:
    """Yield what nobody may ever see, whatever a policy says."""
    roles = {binding.role for binding in actor.bindings}
    decides = bool(roles & {Role.ADMINISTRATOR, Role.AUDITOR})
    is_home, own = resource.place_kind == "home", lives_there(actor, resource)
    if actor.kind == "anonymous":
        yield "somebody who is nobody did something"
    if action in PICTURES and is_home and not own and not given_.grant:
        yield "a home was opened without its household or its consent"
    if action in PICTURES and decides:
        yield "an administrator or auditor saw a picture"
    known = own or decides or given_.grant
    if action in {"camera.list", "camera.read"} and is_home and not known:
        yield "somebody learned of a home's camera"


def done_wrongly(
    actor: Actor, action: str, resource: Resource, given_: Circumstances
) -> Iterator[str]:
    """Yield what nobody may ever do, whatever a policy says."""
    is_home, own = resource.place_kind == "home", lives_there(actor, resource)
    if action in {"account.grant", "account.reset"} and resource.id == str(actor.id):
        yield "somebody granted themselves a right"
    if action in {"grant.give", "grant.withdraw"} and not own:
        yield "somebody else decided about a household's consent"
    if action == "camera.mask" and is_home and not own:
        yield "somebody else changed the masks of a home"
    if action == "export.download" and not given_.second_person:
        yield "an export was handed out by one person"
    reasoned = (own and is_home) or (given_.purpose and given_.reference)
    if action in SOUNDS and given_.redacted:
        yield "somebody was heard who may be seen blurred only"
    if action in SOUNDS and actor.kind == "service":
        yield "a program listened"
    works = {Role.DUTY_STAFF, Role.OPERATOR, Role.SUPERVISOR}
    if action in SOUNDS and not (is_home and (own or given_.grant)):
        held = {b.role for b in actor.bindings if covers(b.area, resource.area)}
        if not (works & held and given_.purpose and given_.reference):
            yield "somebody listened without working there and a reason"
    retrieved = {"camera.snapshot", "recording.play", "recording.listen", "export.request"}
    if action in retrieved and not reasoned:
        yield "something was retrieved without purpose and reference"


@pytest.mark.parametrize("which", ["policy", "permissive"])
@settings(max_examples=examples(1000), deadline=None)
@given(question=questions())
def test_no_policy_opens_a_home_shows_a_picture_to_who_decides_or_grants_oneself(
    which: str, policies: dict[str, Policy], question: tuple[Actor, str, Resource, Circumstances]
) -> None:
    if policies[which].authorize(*question).allowed:
        assert [*seen_wrongly(*question), *done_wrongly(*question)] == []


@pytest.fixture(scope="module")
def policies(policy: Policy, permissive: Policy) -> dict[str, Policy]:
    return {"policy": policy, "permissive": permissive}


@settings(max_examples=examples(500), deadline=None)
@given(question=questions())
def test_whatever_is_permitted_the_door_lets_through(
    policies: dict[str, Policy], question: tuple[Actor, str, Resource, Circumstances]
) -> None:
    """`somewhere` is the first question of every route: it must never be the stricter one."""
    actor, action, resource, circumstances = question
    if policies["policy"].authorize(actor, action, resource, circumstances).allowed:
        assert policies["policy"].somewhere(actor, action)


@settings(max_examples=examples(500), deadline=None)
@given(question=questions())
def test_asking_only_the_policies_about_an_action_gives_the_same_answer(
    policies: dict[str, Policy], whole: Policy, question: tuple[Actor, str, Resource, Circumstances]
) -> None:
    assert policies["policy"].authorize(*question) == whole.authorize(*question)


@pytest.fixture(scope="module")
def whole() -> Policy:
    """The same policies without the short cut: each is asked about every action."""
    policy = Policy.load()
    everything = [replace(text, actions=None) for text in policy.texts]
    return Policy.of(everything)


def test_every_set_of_roles_sees_no_home_without_consent(policy: Policy) -> None:
    sets = [c for n in range(1, len(PEOPLE) + 1) for c in combinations(PEOPLE, n)]
    assert len(sets) == 255
    for roles, action in product(sets, ("camera.live", "camera.snapshot")):
        actor = person(*[(role, "") for role in roles])
        assert not policy.authorize(actor, action, home(), NAMED).allowed


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_no_token_knows_of_a_home(policy: Policy, permissive: Policy, scope: str) -> None:
    service = Actor(
        kind="service",
        id=new_id(),
        bindings=(RoleBinding(Role.SERVICE, ""),),
        scopes=frozenset({scope}),
    )
    for asked in (policy, permissive):
        for action in ("camera.read", "camera.list", *PICTURES):
            at = home(thing_of(action))
            assert not asked.authorize(service, action, at, NAMED).allowed


# ---- The files ---------------------------------------------------------------------------------


def test_an_own_policy_keeps_the_forbids_that_it_left_out(tmp_path: Path) -> None:
    own = tmp_path / "access.cedar"
    own.write_text(EVERYTHING)
    policy = Policy.load(own)
    duty = person((Role.DUTY_STAFF, ""))
    hall = Resource("camera", "1", HERE, "shared_space")
    assert policy.authorize(duty, "camera.live", hall).policies == ("open",)
    refused = policy.authorize(duty, "camera.live", home())
    assert (refused.allowed, refused.policies) == (False, ("home-only-by-consent",))
    # A comment left open cannot swallow what follows; anything else left open stops the start.
    own.write_text(EVERYTHING + "\n// and")
    assert not Policy.load(own).authorize(duty, "camera.live", home()).allowed
    for trick in ("\n@", "\npermit (principal, action, resource) when {", '\n@id("'):
        own.write_text(EVERYTHING + trick)
        with pytest.raises(PolicyError):
            Policy.load(own)


def test_every_policy_has_a_name_of_its_own_and_a_line() -> None:
    texts = [
        text
        for file in (POLICY_FILE, INVIOLABLE_FILE)
        for text in policies_in(file.read_text(), file.name)
    ]
    assert len({text.id for text in texts}) == len(texts) > 30
    for text in texts:
        lines = (POLICY_FILE.with_name(text.file)).read_text().splitlines()
        assert lines[text.line - 1] == f'@id("{text.id}")'
        assert text.text.endswith(";")
    assert all(text.effect == "forbid" for text in texts if text.file == INVIOLABLE_FILE.name)


def test_policies_are_told_apart_whatever_stands_in_strings_and_comments() -> None:
    text = (
        "// one; two\n"
        '@id("a;b")\npermit (principal, action == Action::"camera.list", resource) // x;\n'
        'when { resource.place_kind == "\\";//" };\n'
        "\n  forbid (principal, action, resource);"
    )
    first, second = policies_in(text, "f")
    assert (first.id, first.line, first.effect) == ("a;b", 2, "permit")
    assert first.actions == frozenset({"camera.list"})
    assert (second.id, second.line, second.effect, second.actions) == ("f:6", 6, "forbid", None)
