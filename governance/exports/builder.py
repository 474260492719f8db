"""Builds what was approved, and deletes what has expired. A kill at any point is made good.

The file gets its name only when it is whole and on the disk; the row says `ready` after that. A
build that was killed is begun anew from the approved request.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.signing import Signer
from core.clock import Clock
from core.database import Database
from core.errors import ForbiddenError, HubError
from core.logging import get_logger
from core.metrics import counter
from governance.attachments import repository as attachments
from governance.attachments.models import Attachment
from governance.attachments.store import PictureStore
from governance.exports import package, repository
from governance.exports.models import ExportRequest
from governance.exports.service import STALE, Exports
from governance.exports.watermark import shown_name, stamp
from governance.outbox import service as outbox
from governance.waiting import POLL_S, UNHURRIED_S, wait

_SWEEP_EVERY_S = 10.0
_BATCH = 50

_built = counter("exports_built", "Exports that were built")
_failed = counter("exports_failed", "Exports that could not be built")
_log = get_logger("governance.exports")

Cover = Callable[[bytes, UUID | None, bool], Awaitable[bytes]]
"""Returns a picture of a camera with its masks and, where asked, with people and vehicles blurred.

Raises a HubError where that cannot be done: a picture is never handed on uncovered.
"""


class ExportBuilder:
    """The loop of one process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        exports: Exports,
        pictures: PictureStore,
        signer: Signer,
        cover: Cover,
    ) -> None:
        self._database = database
        self._clock = clock
        self._exports = exports
        self._pictures = pictures
        self._signer = signer
        self._cover = cover
        self._woken = outbox.waker(database)

    async def run(self) -> None:
        """Build and delete for ever; the supervisor starts it again when it fails."""
        async with self._alone():
            await self._run()

    async def _run(self) -> None:
        # Nobody else builds: what is half done was left by a kill.
        stale = timedelta(0)
        swept = -_SWEEP_EVERY_S
        while True:
            while await self.build_next(stale=stale):
                pass
            stale = STALE
            if self._clock.monotonic() - swept >= _SWEEP_EVERY_S:
                await self.sweep()
                swept = self._clock.monotonic()
            await wait(self._clock, self._woken, POLL_S, breath_s=UNHURRIED_S)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait until no other process of the site builds. With SQLite there is none.

        PostgreSQL gives the lock back as soon as the connection of a killed process is gone.
        """
        if self._database.is_sqlite:
            yield
            return
        async with self._database.engine.connect() as connection:
            try:
                while not await repository.become_builder(connection):
                    await wait(self._clock, self._woken, POLL_S, breath_s=UNHURRIED_S)
                yield
            finally:
                # The pool would keep the connection, and the connection the lock.
                await connection.invalidate()

    async def build_next(self, *, stale: timedelta = STALE) -> bool:
        """Build one export if one waits; say whether there was one."""
        async with self._database.read() as session:
            waiting = await repository.to_build(session, self._clock.now() - stale)
        if waiting is None:
            return False
        async with self._database.transaction() as session:
            export_id = await self._exports.claim(session, stale=stale)
        if export_id is None:
            return False
        try:
            content = await self._content(export_id)
            await asyncio.to_thread(_put, self._exports.path(export_id), content)
        except (HubError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            async with self._database.transaction() as session:
                await self._exports.failed(session, export_id, why)
            _failed.inc()
            _log.error("export_failed", export=str(export_id), why=why)
            return True
        async with self._database.transaction() as session:
            wanted = await self._exports.built(
                session, export_id, size=len(content), sha=package.sha256(content)
            )
        if not wanted:
            self._exports.path(export_id).unlink(missing_ok=True)
        _built.inc()
        return True

    async def sweep(self) -> None:
        """Mark what has expired, then delete the files that the index wants no more."""
        async with self._database.read() as session:
            over = await repository.expired(session, self._clock.now(), _BATCH)
        if over:
            async with self._database.transaction() as session:
                await self._exports.expire(session, over)
        there = await asyncio.to_thread(_files, self._exports.directory)
        if not there:
            return
        async with self._database.read() as session:
            gone = await repository.without_file(session, list(there))
        for export_id in gone:
            there[export_id].unlink(missing_ok=True)

    async def _content(self, export_id: UUID) -> bytes:
        async with self._database.read() as session:
            row = await self._exports.get(session, export_id)
            found = await attachments.by_ids(session, [UUID(i) for i in row.attachment_ids])
            chosen = [found[UUID(i)] for i in row.attachment_ids if UUID(i) in found]
            signals = {one.signal_id for one in chosen if one.signal_id is not None}
            when = await repository.occurred(session, signals)
            if row.decided_by in {None, row.requested_by}:
                raise ForbiddenError(
                    "No second person has approved this export.", code="second-person-needed"
                )
            about = await self._about(session, row)
        who = about["requested_by"]
        lines = (
            f"{row.number}  {shown_name(who['display_name'], who['username'], who['id'])}",
            f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC  {row.incident_number}",
        )
        files = {
            name: text.format(
                number=row.number,
                count=len(chosen),
                incident=row.incident_number,
                purpose=row.purpose,
                reference=row.reference,
                requester=f"{who['display_name']} ({who['username']})",
                approver="{display_name} ({username})".format(**about["approved_by"]),
                expires=about["expires_at"],
            ).encode()
            for name, text in package.README.items()
        }
        pictures = []
        for number, one in enumerate(chosen, 1):
            content = await self._picture(row, one, lines)
            files[package.picture_name(number)] = content
            pictures.append(
                {
                    "name": package.picture_name(number),
                    "source_sha256": one.sha256,
                    "source_name": one.name,
                    "source_media_type": one.media_type,
                    "camera_id": None if row.camera_id is None else str(row.camera_id),
                    "camera": row.camera_name,
                    "occurred_at": _taken(one, when).isoformat(),
                }
            )
        return await self._pack({**about, "pictures": pictures}, files)

    async def _picture(self, row: ExportRequest, one: Attachment, lines: tuple[str, ...]) -> bytes:
        source = await asyncio.to_thread(self._pictures.read, one.sha256)
        covered = await self._cover(source, row.camera_id, row.audience != "authority")
        return await asyncio.to_thread(stamp, covered, lines)

    async def _pack(self, about: dict[str, object], files: dict[str, bytes]) -> bytes:
        name, public, sign = await self._signer.document_key()
        files[package.PUBLIC_KEY] = package.public_pem(public)
        manifest = package.manifest_bytes({**about, "key_id": name}, files)
        entries = [(package.MANIFEST, manifest), (package.SIGNATURE, sign(manifest))]
        return await asyncio.to_thread(package.write_zip, [*entries, *files.items()])

    async def _about(self, session: AsyncSession, row: ExportRequest) -> dict[str, Any]:
        """Return what the manifest says of the export as a whole."""
        people = await repository.people(session, [row])

        def person(account_id: UUID | None) -> dict[str, str]:
            brief = None if account_id is None else people.get(account_id)
            return {} if brief is None else brief.model_dump(mode="json")

        now = self._clock.now()
        return {
            "format": "camera-hub export 1",
            "number": row.number,
            "export_id": str(row.id),
            "incident": row.incident_number,
            "area": row.area,
            "purpose": row.purpose,
            "reference": row.reference,
            "reason": row.reason,
            "audience": row.audience,
            "redacted": row.audience != "authority",
            "requested_by": person(row.requested_by),
            "requested_at": row.requested_at.isoformat(),
            "approved_by": person(row.decided_by),
            "approved_at": None if row.decided_at is None else row.decided_at.isoformat(),
            "built_at": now.isoformat(),
            "expires_at": (now + timedelta(days=row.expires_in_days)).isoformat(),
        }


def _put(path: Path, content: bytes) -> None:
    """Put the file in place; it is whole and durable, or not there at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    try:
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        fresh.unlink(missing_ok=True)


def _taken(one: Attachment, when: Mapping[UUID, datetime]) -> datetime:
    """Return when a picture was taken; one without a signal when it was added."""
    return one.created_at if one.signal_id is None else when[one.signal_id]


def _files(directory: Path) -> dict[UUID, Path]:
    """Return the export files that are there, by the export's id."""
    found = {}
    for path in directory.glob("*.zip"):
        try:
            found[UUID(path.stem)] = path
        except ValueError:
            continue
    return found
