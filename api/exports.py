"""Exports: asked for, approved by somebody else, downloaded by who asked, for a while."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import FileResponse

from access.policy.types import Actor, Circumstances
from access.views.purposes import find_purpose
from api import export_films, export_recordings
from api.door import permit, require
from api.hub import Hub, HubDep
from api.pages import Page, Paging
from camera_hub.devices import homes
from core.errors import InvalidInputError, UnavailableError
from governance.exports import repository
from governance.exports.builder import ExportBuilder
from governance.exports.models import ExportRequest
from governance.exports.previews import all_opened
from governance.exports.schemas import ExportCreate, ExportOut, NoteInput, RecordingOut, Step
from governance.exports.service import Asked, Shown
from governance.incidents import repository as incidents
from governance.incidents.models import Incident

router = APIRouter(prefix="/exports", tags=["exports"])


@router.get("")
async def list_exports(
    page: Paging, hub: HubDep, actor: Annotated[Actor, permit("export.list")]
) -> Page[ExportOut]:
    """List the exports of the own areas, the own household and the own requests, newest first."""
    after = page.after(UUID)
    async with hub.database.read() as session:
        rows = await repository.page(
            session,
            areas=hub.policy.areas(actor, "export.list"),
            households=actor.households,
            account_id=actor.id if actor.kind == "account" else None,
            before=after[0] if after else None,
            limit=page.fetch,
        )
        items = await _describe(hub, session, actor, rows[: page.limit])
    return page.page(rows, lambda row: (row.id,), items)


@router.post("", status_code=201)
async def request_export(
    body: ExportCreate, hub: HubDep, actor: Annotated[Actor, permit("export.request")]
) -> ExportOut:
    """Ask for pictures of an incident, or recordings, to be handed out.

    Somebody else has to approve it. What is asked for of recordings is locked until then.
    """
    async with hub.database.transaction() as session:
        incident, shown = None, None
        if body.incident_id is not None:
            incident = await hub.governance.incidents.get(session, body.incident_id)
            require(hub, actor, "incident.read", incident.resource())
            if body.attachment_ids != []:
                shown = await _shown(session, incident)
        found = await export_recordings.recorded(hub, session, actor, body)
        whole = export_recordings.shown_with(incident, shown, found)
        probes = [] if shown is None else [shown]
        probes += [Shown(o.area, o.camera_id, o.name, o.place_kind, o.household_id) for o in found]
        for one in probes:
            await _require_consent(hub, session, actor, "export.request", _probe(one, body))
        rendition = export_recordings.rendition_of(body)
        purpose, reference = find_purpose(body.purpose, body.reference)
        if purpose.reference == "incident":
            await _require_readable(hub, session, actor, reference)
        asked = Asked(incident, whole, found, purpose.key, reference, rendition)
        if found:
            await export_recordings.begin_keeping(session)
        row = await hub.exports.request(session, actor, body, asked)
        await export_recordings.keep(hub, session, actor, row, found)
        return (await _describe(hub, session, actor, [row]))[0]


@router.get("/{export_id}")
async def read_export(
    export_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("export.list")]
) -> ExportOut:
    """Return one export."""
    async with hub.database.read() as session:
        row = await hub.exports.get(session, export_id)
        _require_known(hub, actor, row)
        return (await _describe(hub, session, actor, [row]))[0]


@router.post("/{export_id}/approve")
async def approve_export(
    export_id: UUID,
    body: NoteInput,
    hub: HubDep,
    actor: Annotated[Actor, permit("export.approve")],
) -> ExportOut:
    """Approve it. Who asked for it cannot, whatever their role."""
    return await _decide(hub, export_id, actor, body.note, approve=True)


@router.post("/{export_id}/refuse")
async def refuse_export(
    export_id: UUID,
    body: NoteInput,
    hub: HubDep,
    actor: Annotated[Actor, permit("export.approve")],
) -> ExportOut:
    """Refuse it, saying why."""
    if not body.note:
        raise InvalidInputError("A refusal has a reason.", remedy="Say why.", code="note-needed")
    return await _decide(hub, export_id, actor, body.note, approve=False)


@router.post("/{export_id}/withdraw")
async def withdraw_export(
    export_id: UUID,
    body: NoteInput,
    hub: HubDep,
    actor: Annotated[Actor, permit("export.list")],
) -> ExportOut:
    """Take it back: by who asked for it, or who may approve. Its file is deleted."""
    async with hub.database.transaction() as session:
        row = await hub.exports.locked(session, export_id)
        _require_known(hub, actor, row)
        if actor.id != row.requested_by:
            require(hub, actor, "export.approve", row.resource())
        await export_recordings.let_go(hub, session, actor, row)
        await hub.exports.withdraw(session, row, actor, body.note)
        answer = (await _describe(hub, session, actor, [row]))[0]
    hub.exports.path(export_id).unlink(missing_ok=True)
    return answer


@router.get(
    "/{export_id}/file",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
async def read_export_file(
    export_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("export.download")]
) -> FileResponse:
    """Return the zip to the person who asked for it. That they get it is written down first."""
    async with hub.database.transaction() as session:
        row = await hub.exports.get(session, export_id)
        _require_known(hub, actor, row)
        hub.exports.check_downloadable(row, actor)
        found = await _require_consent(hub, session, actor, "export.download", row)
        cameras = await export_recordings.may_still_play(hub, session, actor, row)
        await export_recordings.check_picture_masks(session, row)
        path = hub.exports.path(row.id)
        if not path.is_file():
            raise UnavailableError(
                "The file of the export is missing.",
                remedy="Ask for a new one, and tell an administrator to check the data directory.",
                code="export-missing",
            )
        seen = {camera.id: (camera.area, camera.place_kind) for camera in cameras}
        if row.camera_id is not None and row.attachment_ids:
            seen[row.camera_id] = row.area, row.place_kind
        for camera_id, (area, place_kind) in seen.items():
            await hub.views.open_view(
                session,
                actor=actor,
                camera_id=camera_id,
                area=area,
                kind="export",
                purpose=row.purpose,
                reference=row.reference,
                grant_id=found,
                incident_id=row.incident_id,
                redacted=row.blurred,
                sound=row.sound
                and any(one["camera_id"] == str(camera_id) for one in row.recordings),
                household_id=row.household_id,
                place_kind=place_kind,
            )
        await hub.exports.downloaded(session, row, actor)
        name = f"{row.number}.zip"
    return FileResponse(
        path,
        media_type="application/zip",
        filename=name,
        headers={"Cache-Control": "no-store"},
    )


async def build_exports(hub: Hub) -> None:
    """Build what is approved and delete what has expired, until cancelled."""
    await builder(hub).run()


def builder(hub: Hub) -> ExportBuilder:
    """Return what builds exports out of the hub's parts."""

    async def cover(content: bytes, camera_id: UUID | None, redact: bool) -> bytes:
        masks = []
        if camera_id is not None:
            async with hub.database.read() as session:
                camera = await homes.also_deleted(session, camera_id)
            masks = [] if camera is None else camera.masks
        if not masks and not redact:
            return content
        return await hub.redactor.still(content, masks, redact)

    async def masks(camera_id: UUID | None) -> str:
        async with hub.database.read() as session:
            return await export_recordings.picture_masks(session, camera_id)

    return ExportBuilder(
        hub.database,
        hub.clock,
        exports=hub.exports,
        pictures=hub.governance.pictures,
        signer=hub.signer,
        cover=cover,
        masks=masks,
        films=export_films.films(hub),
    )


async def _decide(
    hub: Hub, export_id: UUID, actor: Actor, note: str, *, approve: bool
) -> ExportOut:
    async with hub.database.transaction() as session:
        row = await hub.exports.locked(session, export_id)
        _require_known(hub, actor, row)
        for resource in (row.resource(), *row.recorded()):
            require(hub, actor, "export.approve", resource)
        if not approve:
            await export_recordings.let_go(hub, session, actor, row)
        await hub.exports.decide(session, row, actor, note, approve=approve)
        return (await _describe(hub, session, actor, [row]))[0]


def _require_known(hub: Hub, actor: Actor, row: ExportRequest) -> None:
    """Hide an export from whoever neither asked for it nor may list it."""
    if actor.kind != "account" or actor.id != row.requested_by:
        require(hub, actor, "export.list", row.resource())


async def _require_consent(
    hub: Hub, session: AsyncSession, actor: Actor, action: str, row: ExportRequest
) -> UUID | None:
    """Let the actor do `action` under the consent that is live now; return the grant used."""
    second = row.decided_by is not None and row.decided_by != row.requested_by
    asked = Circumstances(
        purpose="incident",
        reference=True,
        redacted=row.blurred,
        second_person=second,
    )
    resource = row.resource()
    if hub.policy.authorize(actor, action, resource, asked).allowed:
        return None
    if row.place_kind == "home" and row.camera_id is not None:
        for grant in await hub.consent.live_grants(session, actor, [row.camera_id]):
            under = Circumstances(
                grant=grant.kind,
                purpose="incident",
                reference=True,
                redacted=asked.redacted or grant.redacted,
                second_person=second,
            )
            unredacted = grant.redacted and not asked.redacted
            same = grant.household_id == row.household_id
            if (
                same
                and not unredacted
                and hub.policy.authorize(actor, action, resource, under).allowed
            ):
                return grant.id
    require(hub, actor, action, resource, asked)
    return None


async def _require_readable(hub: Hub, session: AsyncSession, actor: Actor, number: str) -> None:
    found = await incidents.by_number(session, number)
    if found is None or not hub.policy.authorize(actor, "incident.read", found.resource()).allowed:
        raise InvalidInputError(
            f"There is no incident {number[:24]} that you may read.",
            remedy="Give the number of an incident of your areas, such as 2026-000123.",
            code="unknown-reference",
        )


async def _shown(session: AsyncSession, incident: Incident) -> Shown:
    """Return the camera that the incident's pictures come from; one that is gone counts too."""
    camera = None
    resource = incident.resource()
    if incident.camera_id is not None:
        camera = await homes.also_deleted(session, incident.camera_id)
    if camera is None:
        home = incident.household_id if resource.place_kind == "home" else None
        name = incident.camera_name
        return Shown(incident.area, incident.camera_id, name, resource.place_kind, home)
    if "home" not in {camera.place_kind, resource.place_kind}:
        return Shown(incident.area, camera.id, camera.name, camera.place_kind, None)
    # Whose home it was when the picture was taken; a camera may have moved since.
    household = incident.household_id or camera.household_id
    return Shown(incident.area, camera.id, camera.name, "home", household)


def _probe(shown: Shown, body: ExportCreate) -> ExportRequest:
    """Return what the door is asked about before there is a row."""
    return ExportRequest(
        id=shown.camera_id or body.incident_id,
        area=shown.area,
        place_kind=shown.place_kind,
        household_id=shown.household_id,
        camera_id=shown.camera_id,
        audience=body.audience,
        rendition="raw" if body.rendition is None else body.rendition,
    )


_MADE_HERE = {
    "requested_by", "decided_by", "pictures", "recordings", "allowed", "rendition", "ahead",
    "sha256",
}  # fmt: skip


async def _describe(
    hub: Hub, session: AsyncSession, actor: Actor, rows: Sequence[ExportRequest]
) -> list[ExportOut]:
    people = await repository.people(session, rows)
    turn = {one: number for number, one in enumerate(await repository.in_turn(session))}
    shown = [row.id for row in rows if row.prepared]
    looked = await repository.previews_of(session, shown, actor.id) if shown else {}
    items = []
    for row in rows:
        approver = hub.policy.authorize(actor, "export.approve", row.resource()).allowed
        seen = looked.get(row.id, (None, ""))[1] == row.sha256 and all_opened(row, actor)
        allowed: list[Step] = hub.exports.steps(row, actor, approver=approver, looked=seen)
        items.append(
            ExportOut(
                **{
                    name: getattr(row, name)
                    for name in ExportOut.model_fields
                    if name not in _MADE_HERE
                },
                rendition="blurred" if row.blurred else "raw",
                ahead=turn.get(row.id),
                sha256=row.sha256 if row.ready_at is not None else None,
                requested_by=people[row.requested_by],
                decided_by=None if row.decided_by is None else people[row.decided_by],
                pictures=len(row.attachment_ids),
                recordings=[
                    RecordingOut(
                        camera_id=UUID(one["camera_id"]),
                        camera_name=one["name"],
                        from_at=datetime.fromisoformat(one["from"]),
                        to_at=datetime.fromisoformat(one["to"]),
                    )
                    for one in row.recordings
                ],
                allowed=allowed,
            )
        )
    return items
