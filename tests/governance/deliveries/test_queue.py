"""Who is told what, as rows: nothing twice, and nothing silently not."""

from uuid import UUID

from governance.deliveries.types import Recipient
from tests.governance.deliveries.conftest import PHONE, World

URL = "https://sms.example.org/send"


async def test_no_delivery_key_twice(world: World) -> None:
    await world.gateway(URL)
    incident, li = await world.incident(), await world.account(sms=PHONE)
    assert await world.tell(incident, [li, li]) == 1
    assert await world.tell(incident, [li]) == 0
    assert await world.tell(incident, [li], round_key="ring:0:1") == 1
    first, second = await world.rows()
    assert first.key != second.key
    assert (first.state, first.attempt, first.recipient_name) == ("waiting", 1, "Li Na")


async def test_each_way_to_a_recipient_is_a_row_of_its_own(world: World) -> None:
    await world.gateway(URL)
    await world.gateway(URL, "voice", name="Exchange")
    incident = await world.incident()
    li = await world.account(sms=PHONE, voice=PHONE)
    assert await world.tell(incident, [li], channels=("sms", "voice", "email")) == 2
    assert sorted(row.channel for row in await world.rows()) == ["sms", "voice"]


async def test_who_cannot_be_told_has_a_row_that_says_why(world: World) -> None:
    incident = await world.incident()
    nobody, li = await world.account(), await world.account(sms=PHONE)
    gone = Recipient("room", incident.id, "Duty room", "zh-CN")
    assert await world.tell(incident, [nobody, li, gone], channels=("push", "sms")) == 0
    found = {row.recipient_name + row.code: row.state for row in await world.rows()}
    assert set(found.values()) == {"withheld"}
    codes = sorted((row.channel, row.code) for row in await world.rows())
    assert codes == [("push", "no-address"), ("sms", "no-gateway"), ("wecom", "no-gateway")]


async def test_an_exercise_reaches_nobody_outside(world: World) -> None:
    await world.gateway(URL)
    exercise = await world.incident(status="Exercise")
    li = await world.account(sms=PHONE)
    assert await world.tell(exercise, [li]) == 0
    (row,) = await world.rows()
    assert (row.state, row.code, row.point_id) == ("withheld", "exercise", None)


async def test_the_nearest_gateway_carries_and_a_room_is_told_by_its_own(world: World) -> None:
    await world.gateway(URL, name="Everywhere")
    near = await world.gateway(URL, name="Near", area="demo/riverside")
    await world.gateway(URL, name="Elsewhere", area="demo/hills")
    robot = await world.gateway(
        "wecombot://693a91f6-7aaa-4bc4-97a0-0ec2sifa5aaa",
        "wecom",
        name="Robot",
        kind="apprise",
        room="Duty room",
        secret=None,
    )
    incident, li = await world.incident(), await world.account(sms=PHONE)
    room = Recipient("room", robot.id, "Duty room", "zh-CN")
    assert await world.tell(incident, [li, room]) == 2
    lanes = {row.channel: row.gateway_id for row in await world.rows()}
    assert lanes == {"sms": near.id, "wecom": robot.id}


async def test_an_acknowledgement_cancels_what_still_rings_for_everybody(world: World) -> None:
    await world.gateway(URL)
    incident = await world.incident()
    people = [await world.account(name, sms=PHONE) for name in ("A", "B")]
    await world.tell(incident, people)
    await world.tell(incident, people[:1], purpose="news", round_key="location:1")
    assert await world.acknowledge(incident) == 2
    states = {(row.purpose, row.state, row.code) for row in await world.rows()}
    assert states == {("alert", "cancelled", "acknowledged"), ("news", "waiting", "")}


async def test_everybody_who_was_told_hears_that_it_is_over_and_nobody_is_called_for_it(
    world: World,
) -> None:
    await world.gateway(URL)
    await world.gateway(URL, "voice", name="Exchange")
    incident = await world.incident()
    called = await world.account("Called", sms=PHONE, voice=PHONE)
    unsure = await world.account("Unsure", sms=PHONE)
    untold = await world.account("Untold", sms=PHONE)
    await world.tell(incident, [called], channels=("voice",))
    await world.tell(incident, [unsure, untold])
    for row in await world.rows():
        state = {"Called": "sent", "Unsure": "unknown", "Untold": "waiting"}[row.recipient_name]
        await world.change(type(row), row.id, state=state)
    assert await world.end(incident) == 2
    assert await world.end(incident) == 0
    over = {row.recipient_name: row.channel for row in await world.rows() if row.purpose == "over"}
    assert over == {"Called": "sms", "Unsure": "sms"}
    (cancelled,) = [row for row in await world.rows() if row.state == "cancelled"]
    assert (cancelled.recipient_name, cancelled.code) == ("Untold", "over")


async def test_a_thousand_recipients_fit_into_one_queue(world: World) -> None:
    await world.gateway(URL)
    incident = await world.incident()
    unknown = [Recipient("account", incident.id, str(n), "en") for n in range(3)]
    many = [Recipient("account", UUID(int=n + 1), f"P{n}", "zh-CN") for n in range(1000)]
    assert await world.tell(incident, [*many, *unknown], channels=("push",)) == 0
    assert len(await world.rows()) == 1001
