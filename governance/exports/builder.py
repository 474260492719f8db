"""Builds what was approved, and deletes what has expired. A kill at any point is made good.

The file gets its name only when it is whole and on the disk; the row says `ready` after that. A
build that was killed is begun anew from the approved request.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
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
from governance.exports import archive, package, repository
from governance.exports.archive import Member
from governance.exports.models import ExportRequest
from governance.exports.service import STALE, Exports
from governance.exports.watermark import shown_name, stamp
from governance.outbox import service as outbox
from governance.waiting import POLL_S, UNHURRIED_S, wait

_SWEEP_EVERY_S = 10.0
_BATCH = 50
_TELL_EVERY_S = 1.0
_WORK = ".work"
RECORDINGS = "recordings"
"""Where recordings lie in the zip."""

_built = counter("exports_built", "Exports that were built")
_failed = counter("exports_failed", "Exports that could not be built")
_log = get_logger("governance.exports")

Cover = Callable[[bytes, UUID | None, bool], Awaitable[bytes]]
"""Returns a picture of a camera with its masks and, where asked, with people and vehicles blurred.

Raises a HubError where that cannot be done: a picture is never handed on uncovered.
"""

Films = Callable[[ExportRequest, Path, Callable[[float], None]], Awaitable[list[dict[str, Any]]]]
"""Writes the recordings of an export into a folder and returns what the manifest says of them.

It tells how far it is (0 to 1). Raises a HubError where something cannot be handed out.
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
        films: Films,
    ) -> None:
        self._database = database
        self._clock = clock
        self._exports = exports
        self._pictures = pictures
        self._signer = signer
        self._cover = cover
        self._films = films
        self._woken = outbox.waker(database)

    async def run(self) -> None:
        """Build and delete for ever; the supervisor starts it again when it fails."""
        async with self._alone():
            await self._run()

    async def _run(self) -> None:
        # Nobody else builds: what is half done was left by a kill.
        stale = timedelta(0)
        for left in self._exports.directory.glob(f"*{_WORK}"):
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
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
            size, sha = await self._build(export_id)
        except (HubError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            async with self._database.transaction() as session:
                await self._exports.failed(session, export_id, why)
            _failed.inc()
            _log.error("export_failed", export=str(export_id), why=why)
            return True
        async with self._database.transaction() as session:
            wanted = await self._exports.built(session, export_id, size=size, sha=sha)
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

    async def _build(self, export_id: UUID) -> tuple[int, str]:
        """Make the file; return its size and SHA-256."""
        path = self._exports.path(export_id)
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
        members = _readme(row, about, len(chosen))
        pictures = []
        for number, one in enumerate(chosen, 1):
            content = await self._picture(row, one, lines)
            members.append(Member(package.picture_name(number), content))
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
        work = path.with_suffix(_WORK)
        try:
            recordings = await self._recordings(row, work)
            members += [
                Member(f"{RECORDINGS}/{file.name}", file) for file in sorted(work.glob("*"))
            ]
            about |= {"pictures": pictures, "recordings": recordings}
            return await self._pack(path, about, members)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _recordings(self, row: ExportRequest, work: Path) -> list[dict[str, Any]]:
        """Make the clips of an export in the folder `work`; return what the manifest says of them.

        How far it is is written once a second.
        """
        if not row.recordings:
            return []
        await asyncio.to_thread(_fresh, work)
        done = 0.0

        def progress(share: float) -> None:
            nonlocal done
            done = share

        task = asyncio.ensure_future(self._films(row, work, progress))
        told = 0
        try:
            while not (await asyncio.wait({task}, timeout=_TELL_EVERY_S))[0]:
                percent = min(99, int(done * 100))
                if percent != told:
                    told = percent
                    async with self._database.transaction() as session:
                        await self._exports.progress(session, row.id, percent)
            return await task
        finally:
            task.cancel()

    async def _picture(self, row: ExportRequest, one: Attachment, lines: tuple[str, ...]) -> bytes:
        source = await asyncio.to_thread(self._pictures.read, one.sha256)
        covered = await self._cover(source, row.camera_id, row.audience != "authority")
        return await asyncio.to_thread(stamp, covered, lines)

    async def _pack(
        self, path: Path, about: dict[str, Any], members: list[Member]
    ) -> tuple[int, str]:
        name, public, sign = await self._signer.document_key()
        members = [*members, Member(package.PUBLIC_KEY, package.public_pem(public))]

        def pack() -> tuple[int, str]:
            manifest = package.manifest_bytes({**about, "key_id": name}, members)
            signed = [
                Member(package.MANIFEST, manifest),
                Member(package.SIGNATURE, sign(manifest)),
            ]
            return _put(path, [*signed, *members])

        return await asyncio.to_thread(pack)

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
            "ledger": await repository.custody(session, row.id),
        }


def _put(path: Path, members: Sequence[Member]) -> tuple[int, str]:
    """Put the file in place; it is whole and durable, or not there at all.

    Returns its size and SHA-256.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    try:
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            sha = archive.write(file, members)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        fresh.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        fresh.unlink(missing_ok=True)
    return size, sha


def _fresh(folder: Path) -> None:
    """Make an empty folder; what a killed build left there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def _readme(row: ExportRequest, about: Mapping[str, Any], pictures: int) -> list[Member]:
    """Return the pages for people."""
    english, chinese = [], []
    if pictures:
        english.append(f"{pictures} picture(s) of incident {row.incident_number}")
        chinese.append(f"事件 {row.incident_number} 的 {pictures} 张图片")
    if row.recordings:
        english.append(f"recordings of {len(row.recordings)} camera(s)")
        chinese.append(f"{len(row.recordings)} 个摄像机的录像")
    contents = {"README.en.txt": " and ".join(english), "README.zh.txt": "和".join(chinese)}
    who = about["requested_by"]
    return [
        Member(
            name,
            text.format(
                number=row.number,
                contents=contents[name],
                purpose=row.purpose,
                reference=row.reference,
                requester=f"{who['display_name']} ({who['username']})",
                approver="{display_name} ({username})".format(**about["approved_by"]),
                expires=about["expires_at"],
            ).encode(),
        )
        for name, text in package.README.items()
    ]


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
