"""Builds what was approved, and deletes what has expired. A kill at any point is made good.

The file gets its name only when it is whole and on the disk; the row says `ready` after that. A
build that was killed is begun anew from the approved request. Where people are blurred, the
contents are prepared before, for the second person to look at, and only packed afterwards.
"""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.signing import Signer
from core.clock import Clock
from core.database import Database
from core.durable import sync_folder
from core.errors import ForbiddenError, HubError, UnavailableError
from core.logging import get_logger
from core.metrics import counter
from governance.attachments import repository as attachments
from governance.attachments.models import Attachment
from governance.attachments.store import PictureStore
from governance.exports import package, packing, repository
from governance.exports.archive import Member, Writer
from governance.exports.credentials import Credentials, installed
from governance.exports.models import ExportRequest
from governance.exports.packing import PART, WORK, Opened
from governance.exports.previews import AGAIN
from governance.exports.service import STALE, Exports
from governance.exports.watermark import shown_name, stamp
from governance.outbox import service as outbox
from governance.waiting import POLL_S, UNHURRIED_S, wait

_SWEEP_EVERY_S = 10.0
_BATCH = 50
_TELL_EVERY_S = 1.0
_PREPARED = ".prepared"
RECORDINGS = "recordings"
"""Where recordings lie in the zip."""

_built = counter("exports_built", "Exports that were built")
_failed = counter("exports_failed", "Exports that could not be built")
_log = get_logger("governance.exports")

Cover = Callable[[bytes, UUID | None, bool], Awaitable[bytes]]
"""Returns a picture of a camera with its masks and, where asked, with people and vehicles blurred.

Raises a HubError where that cannot be done: a picture is never handed on uncovered.
"""


@dataclass(frozen=True, slots=True)
class Filming:
    """Where recordings are written to, and who wants them.

    `opened` opens the file of a recording; None: it lies in `folder`, as everything else does.
    `credentials` are written into each file, which must lie in `folder` then.
    `progress` is told how far it is (0 to 1). `stopped` is set when nobody wants them any more.
    """

    folder: Path
    opened: Opened | None
    progress: Callable[[float], None]
    stopped: threading.Event
    credentials: Credentials | None


Masks = Callable[[UUID | None], Awaitable[str]]
"""Returns what tells the masks that a camera has now from any others."""

Films = Callable[[ExportRequest, Filming], Awaitable[list[dict[str, Any]]]]
"""Writes the recordings of an export and returns what the manifest says of them.

Raises a HubError where something cannot be handed out.
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
        masks: Masks,
        films: Films,
    ) -> None:
        self._database = database
        self._clock = clock
        self._exports = exports
        self._pictures = pictures
        self._signer = signer
        self._cover = cover
        self._masks = masks
        self._films = films
        self._woken = outbox.waker(database)

    async def run(self) -> None:
        """Build and delete for ever; the supervisor starts it again when it fails."""
        async with self._alone():
            await self._run()

    async def _run(self) -> None:
        # Nobody else builds: what is half done was left by a kill.
        stale = timedelta(0)
        for left in self._exports.directory.glob(f"*{WORK}"):
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
        for part in self._exports.directory.glob(f"*{PART}"):
            part.unlink(missing_ok=True)
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
        """Build or prepare one export if one waits; say whether there was one."""
        now = self._clock.now()
        async with self._database.read() as session:
            waiting = await repository.to_build(session, now - stale, now - AGAIN)
        if waiting is None:
            return False
        async with self._database.transaction() as session:
            export_id = await self._exports.claim(session, stale=stale)
            if export_id is None:
                return False
            row = await self._exports.get(session, export_id)
            preparing = row.state == "requested"
        try:
            if preparing:
                await self._prepare(row)
            else:
                await self._build(row)
        except (HubError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            later = preparing and isinstance(error, UnavailableError | OSError)
            async with self._database.transaction() as session:
                if later:
                    await self._exports.previews.postponed(session, export_id, why)
                else:
                    await self._exports.failed(session, export_id, why)
            _failed.inc()
            _log.error("export_failed", export=str(export_id), why=why, again=later)
        return True

    async def sweep(self) -> None:
        """Mark what has expired, then delete the files that the index wants no more."""
        async with self._database.read() as session:
            left = self._exports.undecided_since()
            over = await repository.expired(session, self._clock.now(), left, _BATCH)
        if over:
            async with self._database.transaction() as session:
                await self._exports.expire(session, over)
        there = await asyncio.to_thread(packing.named, self._exports.directory, ".zip")
        folders = await asyncio.to_thread(packing.named, self._exports.directory, _PREPARED)
        if not there and not folders:
            return
        async with self._database.read() as session:
            gone = await repository.without_file(session, list(there))
            decided = await repository.decided_and_built(session, list(folders))
        for export_id in gone:
            there[export_id].unlink(missing_ok=True)
        for export_id in decided:
            await asyncio.to_thread(shutil.rmtree, folders[export_id], ignore_errors=True)

    async def _prepare(self, row: ExportRequest) -> None:
        """Make what the second person looks at."""
        folder = self._exports.prepared_path(row.id)
        work = folder.with_suffix(WORK)
        try:
            await asyncio.to_thread(packing.fresh_folder, work)
            pictures = await self._pictures_of(row)
            for member, _ in pictures:
                await asyncio.to_thread(_keep, work / member.name, member)
            recordings = await self._recordings(row, work / RECORDINGS, None)
            about = {"pictures": [one for _, one in pictures], "recordings": recordings}
            sha = await asyncio.to_thread(packing.list_prepared, work, about)
            await asyncio.to_thread(_replace, work, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        async with self._database.transaction() as session:
            await self._exports.previews.prepared(session, row.id, sha)

    async def _build(self, row: ExportRequest) -> None:
        """Make the file of an approved export."""
        if row.decided_by in {None, row.requested_by}:
            raise ForbiddenError(
                "No second person has approved this export.", code="second-person-needed"
            )
        path = self._exports.path(row.id)
        file = await asyncio.to_thread(packing.begin, path)
        try:
            await self._fill(row, Writer(file))
            size, sha = await asyncio.to_thread(packing.end, file, path)
        finally:
            await asyncio.to_thread(packing.leave, file, path)
        async with self._database.transaction() as session:
            wanted = await self._exports.built(session, row.id, size=size, sha=sha)
        if not wanted:
            path.unlink(missing_ok=True)
        _built.inc()

    async def _fill(self, row: ExportRequest, writer: Writer) -> None:
        """Write the contents of an export into its zip: what was prepared, or made now."""
        async with self._database.read() as session:
            about = await self._about(session, row)
        name, public, sign = await self._signer.document_key()
        about["key_id"] = name
        work = self._exports.path(row.id).with_suffix(WORK)
        try:
            if row.blurred:
                folder = self._exports.prepared_path(row.id)
                listed = await asyncio.to_thread(packing.read_prepared, folder, row.sha256)
                about |= {kind: listed[kind] for kind in ("pictures", "recordings")}
                await asyncio.to_thread(packing.add_prepared, writer, folder, listed["files"])
            else:
                about |= await self._made(row, writer, work)
            pages = packing.readme(row, about, len(about["pictures"]))
            for member in [*pages, Member(package.PUBLIC_KEY, package.public_pem(public))]:
                writer.add(member)
            await asyncio.to_thread(packing.finish, writer, about, sign)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _made(self, row: ExportRequest, writer: Writer, work: Path) -> dict[str, Any]:
        """Make pictures and recordings and write them into the zip."""
        pictures = await self._pictures_of(row)
        for member, _ in pictures:
            writer.add(member)
        recordings = await self._recordings(
            row, work, lambda name: writer.stream(f"{RECORDINGS}/{name}")
        )
        for path in await asyncio.to_thread(lambda: sorted(work.glob("*"))):
            member = Member(f"{RECORDINGS}/{path.name}", path)
            await asyncio.to_thread(writer.add, member)
        return {"pictures": [one for _, one in pictures], "recordings": recordings}

    async def _pictures_of(self, row: ExportRequest) -> list[tuple[Member, dict[str, Any]]]:
        """Return the pictures as they leave, each with what the manifest says of it."""
        async with self._database.read() as session:
            found = await attachments.by_ids(session, [UUID(i) for i in row.attachment_ids])
            chosen = [found[UUID(i)] for i in row.attachment_ids if UUID(i) in found]
            signals = {one.signal_id for one in chosen if one.signal_id is not None}
            when = await repository.occurred(session, signals)
            who = (await repository.people(session, [row]))[row.requested_by]
        lines = (
            f"{row.number}  {shown_name(who.display_name, who.username, str(who.id))}",
            f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC  {row.incident_number}",
        )
        pictures = []
        masks = await self._masks(row.camera_id)
        for number, one in enumerate(chosen, 1):
            member = Member(package.picture_name(number), await self._picture(row, one, lines))
            about = {
                "name": member.name,
                "source_sha256": one.sha256,
                "source_name": one.name,
                "source_media_type": one.media_type,
                "camera_id": None if row.camera_id is None else str(row.camera_id),
                "camera": row.camera_name,
                "occurred_at": _taken(one, when).isoformat(),
            }
            pictures.append((member, about))
        if masks != await self._masks(row.camera_id):
            raise UnavailableError(
                "The privacy masks were changed while the export was made.",
                remedy="Ask for it again.",
                code="redaction-away",
            )
        async with self._database.transaction() as session:
            (await self._exports.locked(session, row.id)).picture_masks = masks
        return pictures

    async def _recordings(
        self, row: ExportRequest, folder: Path, opened: Opened | None
    ) -> list[dict[str, Any]]:
        """Make the clips of an export; return what the manifest says of them.

        How far it is is written once a second; that nobody wants them any more ends it.
        """
        if not row.recordings:
            return []
        await asyncio.to_thread(packing.fresh_folder, folder)
        done, stopped = 0.0, threading.Event()
        credentials = await self._credentials()
        if credentials is not None:
            opened = None

        def progress(share: float) -> None:
            nonlocal done
            done = share

        filming = Filming(folder, opened, progress, stopped, credentials)
        task = asyncio.ensure_future(self._films(row, filming))
        told = 0
        try:
            while not (await asyncio.wait({task}, timeout=_TELL_EVERY_S))[0]:
                percent = min(99, int(done * 100))
                if percent != told:
                    told = percent
                    async with self._database.transaction() as session:
                        if not await self._exports.progress(session, row.id, percent):
                            stopped.set()
            return await task
        finally:
            # What writes does so in a thread: nothing is removed under it.
            stopped.set()
            await asyncio.gather(task, return_exceptions=True)

    async def _credentials(self) -> Credentials | None:
        """Return what writes Content Credentials, where the extra for them is installed."""
        if not installed():
            return None
        _, public, sign = await self._signer.document_key()
        return Credentials(public, sign, self._clock.now(), version("camera-hub"))

    async def _picture(self, row: ExportRequest, one: Attachment, lines: tuple[str, ...]) -> bytes:
        source = await asyncio.to_thread(self._pictures.read, one.sha256)
        covered = await self._cover(source, row.camera_id, row.blurred)
        return await asyncio.to_thread(stamp, covered, lines)

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
            "redacted": row.blurred,
            "rendition": "blurred" if row.blurred else "raw",
            "evidence": not row.blurred,
            "sound": row.sound,
            "requested_by": person(row.requested_by),
            "requested_at": row.requested_at.isoformat(),
            "approved_by": person(row.decided_by),
            "approved_at": None if row.decided_at is None else row.decided_at.isoformat(),
            "built_at": now.isoformat(),
            "expires_at": (now + timedelta(days=row.expires_in_days)).isoformat(),
            "ledger": await repository.custody(session, row.id),
        }


def _keep(path: Path, member: Member) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(b"".join(member.pieces()))


def _replace(work: Path, folder: Path) -> None:
    """Give a folder that is whole its name; an older one of that name goes."""
    shutil.rmtree(folder, ignore_errors=True)
    work.replace(folder)
    sync_folder(folder.parent)


def _taken(one: Attachment, when: Mapping[UUID, datetime]) -> datetime:
    """Return when a picture was taken; one without a signal when it was added."""
    return one.created_at if one.signal_id is None else when[one.signal_id]
