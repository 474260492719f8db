"""Mail through Apprise to a real SMTP server, and which addresses of Apprise are taken."""

import socket
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from governance.deliveries.chat import GatewayAddressError, read_address
from tests.governance.deliveries.conftest import World
from tests.support.waiting import until


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    return sqlite_url


class Mailbox:
    """Keeps what arrives; answers with `reply`."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.reply = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        self.envelopes.append(envelope)
        return self.reply

    def read(self) -> EmailMessage:
        found = message_from_bytes(self.envelopes[-1].original_content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """A mailbox, and the address of Apprise that leads to it."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, f"mailto://127.0.0.1:{port}?from=hub@example.org&mode=insecure"
    server.stop()


async def test_a_mail_goes_to_its_recipient_alone(
    world: World, mailbox: tuple[Mailbox, str]
) -> None:
    box, url = mailbox
    await world.gateway(url, "email", kind="apprise", secret=None)
    incident = await world.incident()
    li = await world.account(locale="en", email="li.na@example.org")
    async with world.sending():
        await world.tell(incident, [li], channels=("email",))
        await world.until_states("sent")
    assert box.envelopes[-1].rcpt_tos == ["li.na@example.org"]
    mail = box.read()
    assert mail["Subject"] == "Intrusion, jade-garden·Pump house"
    assert mail["From"].addresses[0].addr_spec == "hub@example.org"
    text = str(mail.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    assert f"08:00 {incident.number}" in text
    assert "/a/" in text
    assert [part.get_content_type() for part in mail.walk()].count("image/jpeg") == 0


async def test_an_address_cannot_smuggle_in_a_second_recipient(
    world: World, mailbox: tuple[Mailbox, str]
) -> None:
    box, url = mailbox
    await world.gateway(url, "email", kind="apprise", secret=None)
    hostile = await world.account(email="li@example.org?to=other@example.org&cc=x@example.org")
    async with world.sending():
        await world.tell(await world.incident(), [hostile], channels=("email",))
        await until(lambda: _over(world))
    told = [address for envelope in box.envelopes for address in envelope.rcpt_tos]
    assert "other@example.org" not in told
    assert "x@example.org" not in told


async def _over(world: World) -> bool:
    return (await world.states())[0] not in {"waiting", "sending"}


async def test_a_refused_mail_is_tried_again(world: World, mailbox: tuple[Mailbox, str]) -> None:
    box, url = mailbox
    box.reply = "451 later"
    await world.gateway(url, "email", kind="apprise", secret=None)
    li = await world.account(email="li@example.org")
    async with world.sending():
        await world.tell(await world.incident(), [li], channels=("email",))
        await world.until_states("failed", "waiting")
        box.reply = "250 OK"
        world.clock.advance(10)
        await world.until_states("failed", "sent")


@pytest.mark.parametrize("timeout_s", [1.0])
async def test_a_mail_server_that_hangs_is_repeated_once_and_says_so(
    world: World, mailbox: tuple[Mailbox, str]
) -> None:
    box, url = mailbox
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        gateway = await world.gateway(
            f"mailto://127.0.0.1:{port}?from=hub@example.org&mode=insecure",
            "email",
            kind="apprise",
            secret=None,
        )
        li = await world.account(email="li@example.org")
        async with world.sending():
            await world.tell(await world.incident(), [li], channels=("email",))
            _, second = await world.until_states("unknown", "waiting")
            assert (second.not_before - world.clock.now()).total_seconds() > 60
            sealed = world.parts.secrets.seal(url)
            await world.change(type(gateway), gateway.id, url_sealed=sealed)
            world.clock.advance(125)
            await until(lambda: _told(world, box))
    assert "可能重复" in str(box.read()["Subject"])


async def _told(world: World, box: Mailbox) -> bool:
    await world.wake()
    return bool(box.envelopes)


async def test_a_mail_server_in_the_own_network_is_not_asked(
    world: World, mailbox: tuple[Mailbox, str]
) -> None:
    box, url = mailbox
    closed = world.parts.settings.deliveries.model_copy(update={"allow_private": False})
    world.parts.settings = world.parts.settings.model_copy(update={"deliveries": closed})
    await world.gateway(url, "email", kind="apprise", secret=None)
    li = await world.account(email="li@example.org")
    async with world.again().sending():
        await world.tell(await world.incident(), [li], channels=("email",))
        (row,) = await world.until_states("given_up")
    assert row.code == "gateway-address"
    assert box.envelopes == []


@pytest.mark.parametrize(
    ("channel", "url"),
    [
        ("sms", "json://example.org/"),
        ("email", "exec://touch/tmp/x"),
        ("wecom", "syslog://"),
        ("email", "dbus://"),
        ("sms", "mailto://u:p@example.org"),
        ("email", "mailto://u:p@example.org?pgp=yes&pgpkey=/etc/passwd"),
        ("email", "mailto://u:p@example.org?cc=else@example.org"),
        ("email", "mailto://u:p@example.org?bcc=else@example.org"),
        ("email", "mailto://u:p@example.org?reply=x@example.org&pgpprivkey=/root/.ssh/id"),
        ("email", "file:///etc/passwd"),
        ("voice", "twilio://AC:token@+14155550100"),
        ("feishu", "feishu://"),
        ("email", "not an address"),
        ("email", ""),
    ],
)
def test_configuration_never_becomes_a_command(channel: str, url: str) -> None:
    with pytest.raises(GatewayAddressError):
        read_address(channel, url)


@pytest.mark.parametrize(
    ("channel", "url"),
    [
        ("email", "mailtos://u:p@smtp.example.org:465?from=hub@example.org&mode=ssl"),
        (
            "email",
            "mailtos://u:p@example.org:587?smtp=smtp.example.org&from=h@example.org&mode=starttls",
        ),
        ("wecom", "wecombot://693a91f6-7aaa-4bc4-97a0-0ec2sifa5aaa"),
        ("dingtalk", "dingtalk://SECabcdef@123456789012345678901234"),
        ("feishu", "feishu://abcdef0123456789"),
        ("sms", f"twilio://AC{'a' * 32}:{'b' * 32}@+14155550100"),
    ],
)
def test_what_the_console_writes_is_taken(channel: str, url: str) -> None:
    assert read_address(channel, url)["schema"] == url.partition(":")[0]


async def test_trying_a_gateway_out_says_how_it_went(
    world: World, mailbox: tuple[Mailbox, str]
) -> None:
    box, url = mailbox
    gateway = await world.gateway(url, "email", kind="apprise", secret=None)
    outcome = await world.kernel.sender.try_out(gateway, "li@example.org")
    assert outcome.state == "sent"
    assert box.read()["Subject"] == "测试消息"
    dead = await world.gateway("http://127.0.0.1:1/", "voice", name="Dead")
    assert (await world.kernel.sender.try_out(dead, "110")).code == "unreachable"
    assert await world.rows() == []
