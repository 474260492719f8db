"""The ledger: its entries, its head, the newest checkpoint, and verification; for auditors."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.schemas import AccountBrief
from access.ledger import repository
from access.ledger.background import Verification
from access.ledger.keys import LedgerKeys, to_text
from access.ledger.models import LedgerEntry
from access.ledger.times import from_us, to_us
from access.ledger.verifying import Fault
from access.policy.types import Actor
from api.door import permit
from api.hub import HubDep
from api.pages import Page, Paging
from core.errors import NotFoundError

router = APIRouter(prefix="/ledger", tags=["ledger"])

JsonScalar = str | int | float | bool | None


class LedgerEntryOut(BaseModel):
    """One entry. `actor` is null for the hub, its command line, and service tokens."""

    seq: int
    at: datetime
    kind: str
    actor_kind: Literal["account", "service", ""]
    actor_id: str
    actor: AccountBrief | None
    area: str
    subject: str
    data: dict[str, JsonScalar]
    hash: str


class LedgerHeadOut(BaseModel):
    """The newest entry (`seq` 0: none yet) and the newest one that is signed."""

    seq: int
    hash: str
    at: datetime | None
    signed_through: int


class BadEntryOut(BaseModel):
    """The first entry that is wrong: its number, the sort of fault, and what in English."""

    seq: int
    problem: str
    code: Fault


class VerificationOut(BaseModel):
    """A verification. `bad` is the first entry that is not as it was signed."""

    id: UUID
    state: Literal["running", "good", "bad", "failed"]
    checked: int
    total: int
    bad: BadEntryOut | None
    notes: list[str]


@router.get("")
async def list_ledger_entries(
    *,
    page: Paging,
    hub: HubDep,
    actor: Annotated[Actor, permit("ledger.read")],
    kind: str | None = None,
    actor_id: UUID | None = None,
    subject: str | None = None,
) -> Page[LedgerEntryOut]:
    """List the entries of the own areas, newest first."""
    after = page.after(str)
    async with hub.database.read() as session:
        rows = await repository.page(
            session,
            areas=hub.policy.areas(actor, "ledger.read"),
            kind=_plain(kind),
            actor_id=None if actor_id is None else str(actor_id),
            subject=_plain(subject),
            before=_number(after[0]) if after else None,
            limit=page.fetch,
        )
        items = await _describe(session, rows)
    return page.page(rows, lambda row: (str(row.seq),), items[: page.limit])


@router.get("/head")
async def read_ledger_head(
    hub: HubDep, _actor: Annotated[Actor, permit("ledger.read")]
) -> LedgerHeadOut:
    """Return the newest entry of the whole site; numbers and hashes tell nothing of an area."""
    async with hub.database.read() as session:
        seq, digest = await repository.head(session)
        at_us = await repository.head_at(session)
        signed = await repository.newest_checkpoint(session)
    return LedgerHeadOut(
        seq=seq,
        hash=digest.hex(),
        at=None if at_us is None else from_us(at_us),
        signed_through=signed.seq if signed else 0,
    )


@router.get(
    "/checkpoint",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}},
)
async def read_ledger_checkpoint(
    hub: HubDep, _actor: Annotated[Actor, permit("ledger.read")]
) -> Response:
    """Return the newest signed checkpoint as a file, to be kept elsewhere.

    `camera-hub ledger verify --checkpoint FILE` compares the ledger with it.
    """
    async with hub.database.read() as session:
        newest = await repository.newest_checkpoint(session)
    if newest is None:
        raise NotFoundError("Nothing is signed yet.", remedy="Ask again in a second.")
    public = LedgerKeys(hub.ledger.keys_dir).public().get(newest.key_id)
    value: dict[str, Any] = newest.to_json()
    if public is not None:
        value["public_key"] = to_text(public)
    return Response(
        orjson.dumps(value, option=orjson.OPT_INDENT_2),
        media_type="application/json",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="ledger-checkpoint-{newest.seq}.json"',
        },
    )


@router.post("/verifications", status_code=202)
async def start_ledger_verification(
    hub: HubDep, _actor: Annotated[Actor, permit("ledger.verify")]
) -> VerificationOut:
    """Verify the whole ledger in the background; one at a time."""
    run = hub.verifications.start(
        hub.settings.database_url,
        hub.settings.ledger_dir,
        hub.ledger.keys_dir,
        to_us(hub.clock.now()),
    )
    return _run_out(run)


@router.get("/verifications/{verification_id}")
async def read_ledger_verification(
    verification_id: UUID, hub: HubDep, _actor: Annotated[Actor, permit("ledger.verify")]
) -> VerificationOut:
    """Return how far a verification is, or what it found."""
    run = hub.verifications.get(verification_id)
    if run is None:
        raise NotFoundError(
            "There is no such verification.", remedy="A restart forgets them: start another."
        )
    return _run_out(run)


def _run_out(run: Verification) -> VerificationOut:
    return VerificationOut(
        id=run.id,
        state=run.state,
        checked=run.checked,
        total=run.total,
        bad=None if run.bad is None else BadEntryOut.model_validate(run.bad),
        notes=run.notes,
    )


async def _describe(session: AsyncSession, rows: Sequence[LedgerEntry]) -> list[LedgerEntryOut]:
    """Name those who acted; the entries themselves hold ids only."""
    wanted = {UUID(row.actor_id) for row in rows if row.actor_kind == "account"}
    names = await repository.names(session, wanted)
    return [
        LedgerEntryOut(
            seq=row.seq,
            at=from_us(row.at),
            kind=row.kind,
            actor_kind=row.actor_kind,
            actor_id=row.actor_id,
            actor=names.get(UUID(row.actor_id)) if row.actor_kind == "account" else None,
            area=row.area,
            subject=row.subject,
            data=orjson.loads(row.body),
            hash=row.hash.hex(),
        )
        for row in rows
    ]


def _plain(text: str | None) -> str | None:
    """Return a filter without what a store would refuse."""
    return None if text is None else text.replace("\x00", "")[:200]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
