"""Dispatch policies through the API: read, checked, replaced, tried out."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from access.policy import Role
from api.hub import Hub
from governance.dispatch.policies import DEFAULT_FILE, PolicyFacts
from tests.support.http import Client, SignIn

URL = "/api/v1/dispatch-policies"
GARDEN = "demo/riverside/jade-garden"
BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
OWN = """
policies:
  - id: everything  # for a small site
    steps:
      - {after_s: 0, targets: [duty], channels: [push]}
      - {after_s: 20, targets: [duty, supervisor], channels: [push], whistle: true}
"""


async def test_what_came_with_the_hub_is_shown_as_it_is_written(sign_in: SignIn) -> None:
    lead = await sign_in(Role.SUPERVISOR, "demo")
    body = (await lead.get(URL)).json()
    assert (body["version"], body["updated_at"]) == (0, None)
    assert body["text"] == Path(DEFAULT_FILE).read_text()
    assert body["policies"][0]["id"] == "exercise"


@BOTH_STORES
async def test_a_set_is_replaced_whole_and_counts_at_once(sign_in: SignIn, hub: Hub) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    put = await admin.put(URL, json={"version": 0, "text": OWN})
    assert (put.status_code, put.json()["version"]) == (200, 1), put.text
    shown = (await admin.get(URL)).json()
    assert shown["text"] == OWN
    assert "# for a small site" in shown["text"]
    facts = PolicyFacts("alarm_fire", "extreme", "actual", GARDEN)
    assert hub.governance.policies.choose(facts, hub.clock.now())["id"] == "everything"
    again = await admin.put(URL, json={"version": 0, "text": OWN})
    assert (again.status_code, again.json()["code"]) == (409, "version-conflict")
    # As JSON, too: what is shown can be sent back, and is YAML for the next reader.
    policies = shown["policies"]
    policies[0]["id"] = "all"
    policies[0]["match"]["times"] = []
    sent = await admin.put(URL, json={"version": 1, "policies": policies})
    assert sent.status_code == 200, sent.text
    assert yaml.safe_load(sent.json()["text"])["policies"][0]["id"] == "all"
    async with hub.database.read() as session:
        entries = await session.scalars(
            select(LedgerEntry)
            .where(LedgerEntry.kind == "dispatch.policies_changed")
            .order_by(LedgerEntry.seq)
        )
        last = list(entries)[-1]
    assert '"added":"all"' in last.body
    assert '"removed":"everything"' in last.body


async def test_times_survive_the_way_there_and_back(sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    night = """
policies:
  - id: night
    match: {times: [{days: [sat], from: "22:00", to: "06:00"}]}
    steps: [{after_s: 0, targets: [patrol]}]
""" + OWN.removeprefix("\npolicies:\n")
    body = (await admin.put(URL, json={"version": 0, "text": night})).json()
    window = {"days": ["sat"], "from": "22:00", "to": "06:00"}
    assert body["policies"][0]["match"]["times"] == [window]
    sent = await admin.put(URL, json={"version": 1, "policies": body["policies"]})
    assert sent.json()["policies"] == body["policies"]


async def test_every_fault_comes_with_its_line(sign_in: SignIn) -> None:
    lead = await sign_in(Role.SUPERVISOR, "demo")
    admin = await sign_in(Role.ADMINISTRATOR)
    bad = OWN.replace("duty, supervisor", "duty, supervisr").replace("[push]", "[pusch]")
    checked = (await lead.post(f"{URL}/check", json={"text": bad})).json()
    assert checked["valid"] is False
    assert [(f["line"], f["field"]) for f in checked["faults"]] == [
        (5, "policies.everything.steps.0.channels"),
        (6, "policies.everything.steps.1.targets"),
        (6, "policies.everything.steps.1.channels"),
    ]
    refused = await admin.put(URL, json={"version": 0, "text": bad})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-policies")
    assert refused.json()["faults"] == checked["faults"]
    good = (await lead.post(f"{URL}/check", json={"text": OWN})).json()
    assert good == {"valid": True, "faults": []}
    for body in ({}, {"text": OWN, "policies": []}):
        assert (await lead.post(f"{URL}/check", json=body)).status_code == 422


async def test_a_policy_for_an_area_that_is_not_there_is_a_fault(sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    await admin.post("/api/v1/areas", json={"path": "demo", "name": "Demo"})
    somewhere = OWN.replace("  - id", "  - id: a\n    match: {areas: [demmo]}\n"
                            "    steps: [{after_s: 0, targets: [duty]}]\n  - id", 1)  # fmt: skip
    checked = (await admin.post(f"{URL}/check", json={"text": somewhere})).json()
    (fault,) = checked["faults"]
    assert fault["field"] == "policies.a.match.areas"
    assert "'demo'" in fault["message"]


async def forecast(client: Client, **body: Any) -> dict[str, Any]:
    asked = {"kind": "alarm_medical", "severity": "extreme", "area": GARDEN, **body}
    answer = await client.post(f"{URL}/forecast", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_dry_run_names_who_would_be_told_and_when(sign_in: SignIn) -> None:
    duty = await sign_in(Role.DUTY_STAFF, GARDEN, username="duty")
    await sign_in(Role.SUPERVISOR, "demo", username="lead")
    found = await forecast(duty)
    assert (found["policy"]["id"], found["policy"]["version"]) == ("alarms", 0)
    assert [step["after_s"] for step in found["steps"]] == [0, 30, 60, 90, 150]
    names = [[person["name"] for person in step["told"]] for step in found["steps"]]
    assert names[0] == ["Duty"]
    assert "Lead" in names[1]
    tried = await forecast(duty, policies={"text": OWN}, at="2026-02-01T03:00:00+08:00")
    assert tried["policy"]["id"] == "everything"
    assert tried["steps"][0]["at"] == "2026-01-31T19:00:00Z"
    exercise = await forecast(duty, status="exercise")
    assert {person["name"] for step in exercise["steps"] for person in step["told"]} == {"Duty"}


async def test_a_dry_run_of_nonsense_is_a_clear_error(sign_in: SignIn) -> None:
    duty = await sign_in(Role.DUTY_STAFF, GARDEN)
    for body, code in (
        ({"kind": "alarm_fier"}, "unknown-kind"),
        ({"at": "9999-01-01T00:00:00Z"}, "time-out-of-range"),
        ({"area": "demo/../x"}, "invalid-area"),
        ({"policies": {"text": "policies: []"}}, "invalid-policies"),
        ({"household_id": "00000000-0000-7000-8000-000000000000"}, "not-found"),
        ({"severity": "huge"}, "invalid-input"),
    ):
        asked = {"kind": "alarm_medical", "area": GARDEN, **body}
        answer = await duty.post(f"{URL}/forecast", json=asked)
        assert answer.status_code in {404, 422}, answer.text
        assert answer.json()["code"] == code, answer.text
    elsewhere = {"kind": "alarm_fire", "area": "demo/hill"}
    assert (await duty.post(f"{URL}/forecast", json=elsewhere)).status_code == 403
