"""Passwords, slowing down of guesses, sign-in: what HTTP tests cannot see."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from access.accounts.names import normalise_username
from access.accounts.passwords import Passwords, check_password
from access.accounts.throttle import (
    ADDRESS_FREE_TRIES,
    ADDRESS_MAX_DELAY_S,
    FREE_TRIES,
    MAX_DELAY_S,
    MAX_KEYS,
    Throttle,
    TooManyAttemptsError,
)
from access.policy.types import Role
from access.sessions.models import Session
from api.hub import Hub
from core.clock import ManualClock
from core.errors import InvalidInputError, UnauthenticatedError
from tests.support.http import PASSWORD, SignIn


@given(st.text(max_size=80))
def test_a_username_is_stored_in_one_form(text: str) -> None:
    try:
        name = normalise_username(text)
    except InvalidInputError:
        return
    assert normalise_username(name) == name
    assert normalise_username(f" {name.upper()} ") == normalise_username(name.upper())
    assert not any(c.isspace() or not c.isprintable() for c in name)


@pytest.mark.parametrize(
    ("one", "other"), [("Ａdmin", "admin"), ("STRASSE", "straße"), (" x.y ", "X.Y")]
)
def test_look_alikes_are_one_username(one: str, other: str) -> None:
    assert normalise_username(one) == normalise_username(other)


async def test_hashes_are_argon2id_salted_and_renewed() -> None:
    passwords = Passwords()
    one, two = [await passwords.hash(PASSWORD, username="x") for _ in range(2)]
    assert one.startswith("$argon2id$")
    assert one != two
    assert await passwords.verify(PASSWORD, one) == (True, None)
    assert (await passwords.verify(PASSWORD + " ", one))[0] is False
    weak = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=1024),)).hash(PASSWORD)
    matches, renewed = await passwords.verify(PASSWORD, weak)
    assert matches
    assert renewed is not None
    assert (await passwords.verify("a wrong one", weak)) == (False, None)
    assert (await passwords.verify(PASSWORD, "no hash at all")) == (False, None)


async def test_half_a_character_is_no_password() -> None:
    """JSON can hold a lone surrogate, which no hash can be made of: wrong, and no failure."""
    passwords = Passwords()
    stored = await passwords.hash(PASSWORD, username="x")
    assert await passwords.verify(PASSWORD + "\ud83d", stored) == (False, None)
    with pytest.raises(InvalidInputError, match="half a character"):
        check_password(PASSWORD + "\ud83d", "x")


async def test_an_unknown_user_costs_as_much_work_as_a_wrong_password() -> None:
    class Counting(Argon2Hasher):
        verified = 0

        def verify(self, password: str | bytes, hash: str | bytes) -> bool:
            self.verified += 1
            return super().verify(password, hash)

    hasher = Counting()
    passwords = Passwords()
    passwords._hasher = PasswordHash((hasher,))
    stored = await passwords.hash(PASSWORD, username="x")
    work = []
    for password, known in (("a wrong one", stored), ("a wrong one", None), ("y" * 9999, stored)):
        hasher.verified = 0
        assert await passwords.verify(password, known) == (False, None)
        work.append(hasher.verified)
    assert work == [1, 1, 1]


def attempts(throttle: Throttle, username: str, address: str, number: int) -> list[int]:
    """Return the waits, in seconds, that `number` failing attempts in a row are told."""
    waits = []
    for _ in range(number):
        try:
            throttle.attempt(username, address)
        except TooManyAttemptsError as error:
            waits.append(error.retry_after)
        else:
            waits.append(0)
    return waits


def test_the_delay_grows_and_ends(clock: ManualClock) -> None:
    throttle = Throttle(clock)
    assert attempts(throttle, "a", "here", FREE_TRIES + 1) == [0] * FREE_TRIES + [1]
    expected = 1.0
    for _ in range(12):
        clock.advance(expected)
        assert attempts(throttle, "a", "here", 1) == [0]
        expected = min(MAX_DELAY_S, expected * 2)
        assert attempts(throttle, "a", "here", 1) == [int(expected)]
    assert attempts(throttle, "a", "elsewhere", 1) == [0]
    assert attempts(throttle, "b", "here", 1) == [0]
    clock.advance(3601)
    assert attempts(throttle, "a", "here", FREE_TRIES) == [0] * FREE_TRIES


def test_trying_many_usernames_from_one_place_is_slowed_by_seconds_only(clock: ManualClock) -> None:
    throttle = Throttle(clock)
    for number in range(ADDRESS_FREE_TRIES):
        assert attempts(throttle, f"user-{number}", "here", 1) == [0]
    for number in range(20):
        [wait] = attempts(throttle, f"other-{number}", "here", 1)
        assert 0 < wait <= ADDRESS_MAX_DELAY_S, "a whole centre behind one address keeps working"
        assert attempts(throttle, "anybody", "elsewhere", 1) == [0]
        clock.advance(wait)
        attempts(throttle, f"other-{number}", "here", 1)
        throttle.succeeded("anybody", "elsewhere")


def test_made_up_usernames_do_not_fill_the_memory(clock: ManualClock) -> None:
    throttle = Throttle(clock)
    for number in range(MAX_KEYS + 100):
        throttle.attempt(f"u{number}", f"10.0.{number % 250}.{number // 250}")
    assert len(throttle._counts) <= MAX_KEYS


async def test_many_guesses_at_once_count_before_any_is_looked_at(
    hub: Hub, sign_in: SignIn
) -> None:
    target = await sign_in(Role.PATROL, "demo")

    async def guess(number: int) -> str:
        try:
            await hub.accounts.sign_in(
                hub.database, username=target.username, password=f"guess {number}", address="here"
            )
        except (UnauthenticatedError, TooManyAttemptsError) as error:
            return error.code
        return "in"

    answers = await asyncio.gather(*(guess(number) for number in range(20)))
    assert answers.count("invalid-credentials") == FREE_TRIES
    assert answers.count("too-many-attempts") == 20 - FREE_TRIES


async def test_the_store_holds_no_session_token(hub: Hub, sign_in: SignIn) -> None:
    client = await sign_in(Role.PATROL, "demo")
    async with hub.database.read() as session:
        row = await session.get(Session, client.session_id)
        assert row is not None
        assert client.session_token not in str(vars(row))
        assert client.csrf_token not in str(vars(row))
        assert await hub.sessions.is_live(session, client.session_id)
        assert row.expires_at - row.created_at == timedelta(days=7)
    async with hub.database.transaction() as session:
        await hub.sessions.end_all(session, client.account_id, "test")
    async with hub.database.read() as session:
        assert not await hub.sessions.is_live(session, client.session_id)


@pytest.mark.parametrize(
    "password",
    [
        "password123",
        "!Administrator2026!",
        "CameraHub!!",
        "qwertyuiop",
        "woaini1314",
        "abcdefghijkl",
        "9876543210",
        "1234567890123",
        "abcd1abcd1abcd1",
    ],
)
def test_what_is_guessed_first_is_no_password(password: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_password(password, "li.na")
    assert refused.value.code == "weak-password"


@pytest.mark.parametrize(
    "password", ["correct horse battery", "窗外的雨下了一整夜才停", "tree-lamp-7-river"]
)
def test_a_few_words_are_a_password(password: str) -> None:
    check_password(password, "li.na")
