"""Every decision on cameras: adding, finding and changing them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.jurisdictions import Law
from access.policy.areas import normalise_area
from access.policy.types import Resource
from camera_hub.devices import repository, taken
from camera_hub.devices.address import CameraAddress, parse_address
from camera_hub.devices.assignment import analysed_by, transport_of
from camera_hub.devices.facts import (
    change_plan,
    facts_out,
    first_plan,
    home_place,
    set_facts,
)
from camera_hub.devices.found import (
    always_read,
    check_chosen,
    check_tells,
    describe_found,
    unprobed,
)
from camera_hub.devices.models import Camera
from camera_hub.devices.probing import Prober
from camera_hub.devices.readings import Readings, StatusChange
from camera_hub.devices.recording_plan import RecordingMode
from camera_hub.devices.schemas import (
    CameraCreate,
    CameraOut,
    CameraUpdate,
    DeviceOut,
    GrantBrief,
    Rendition,
    StreamOut,
)
from camera_hub.devices.types import ProbeResult, SourceKind
from core.clock import Clock
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.secrets import SecretBox

__all__ = ["Devices", "StatusChange", "resource_of"]


def resource_of(camera: Camera) -> Resource:
    """Return `camera` as what is asked for."""
    return Resource(
        "camera",
        id=str(camera.id),
        area=camera.area,
        place_kind=camera.place_kind,
        household="" if camera.household_id is None else str(camera.household_id),
        residents_may_watch=camera.residents_may_watch,
    )


_PLACED = frozenset({"place_kind", "household_id"})


class Devices(Readings):
    """The cameras of the site."""

    def __init__(
        self,
        clock: Clock,
        secrets: SecretBox,
        prober: Prober,
        law: Law,
        *,
        recording: RecordingMode = "always",
    ) -> None:
        """Use `recording` for new cameras that name no plan of their own, but for homes."""
        super().__init__(clock, secrets, law)
        self.prober = prober
        self._recording = recording
        self._led_to: dict[str, frozenset[str]] = {}

    async def find(self, body: CameraCreate) -> ProbeResult:
        """Look at the camera to be added; slow, so call it outside of a transaction.

        Raises:
            UpstreamError: what is wrong with the camera, and what to do.
            InvalidInputError: the address cannot be one of a camera, or a profile does not exist.
        """
        address = parse_address(body.source_kind, body.address, self.prober.reach)
        self._led_to[address.url] = await taken.addresses_of(address.url)
        if not body.probe:
            if body.source_kind != "rtsp":
                raise InvalidInputError(
                    "An ONVIF camera must be asked for its streams.",
                    remedy="Leave `probe` out, or add it by its rtsp:// address.",
                    code="probe-needed",
                )
            found = unprobed(body)
        else:
            found = await self.prober.probe(
                body.source_kind, body.address, body.username, body.password.get_secret_value()
            )
        check_chosen(found, (body.main_profile, body.sub_profile))
        if body.analysed_by == "camera":
            await self._let_tell(body, found)
        return found

    async def _let_tell(self, body: CameraCreate, found: ProbeResult) -> None:
        """Have the camera to be added say what it sees, in the stream that is always read.

        Raises:
            NoMetadataError: it does not, or cannot.
        """
        if not body.probe:
            return  # Nobody can know: whoever watches its silence will tell.
        main, sub = body.main_profile or found.main, body.sub_profile or found.sub
        check_tells(found, sub or main)
        if body.source_kind == "onvif":
            password = body.password.get_secret_value()
            await self.prober.let_tell(body.address, body.username, password, sub or main)

    async def add(self, session: AsyncSession, body: CameraCreate, found: ProbeResult) -> Camera:
        """Add the camera that was found.

        Raises:
            ConflictError: code `address-is-a-home`: its device looks into the home of others.
            InvalidInputError: the area or the address cannot be used.
        """
        address = parse_address(body.source_kind, body.address)
        camera = Camera(
            id=new_id(),
            name=body.name,
            area=normalise_area(body.area),
            place_kind=body.place_kind,
            source_kind=body.source_kind,
            household_id=body.household_id,
            address=address.url,
            username=body.username or address.username,
            password_sealed=self._seal(body.password.get_secret_value() or address.password),
            enabled=True,
            analyse=body.analyse,
            version=1,
            created_at=self._clock.now(),
        )
        set_facts(camera, body)
        first_plan(camera, body, self._recording)
        describe_found(
            camera, found, body.main_profile or found.main, body.sub_profile or found.sub
        )
        await repository.add(session, camera)
        await session.refresh(camera, ["streams", "status"])
        await self._check_free(session, camera)
        return camera

    async def _check_free(self, session: AsyncSession, camera: Camera) -> None:
        led_to = self._led_to.pop(camera.address, frozenset())
        await taken.check_free(session, camera, {camera.id: led_to})

    async def get(self, session: AsyncSession, camera_id: UUID) -> Camera:
        """Return a camera.

        Raises:
            NotFoundError: there is none with this id, or it was deleted.
        """
        camera = await repository.by_id(session, camera_id)
        if camera is None:
            raise NotFoundError("There is no such camera.", remedy="Reload the list of cameras.")
        return camera

    async def refind(self, camera: Camera, body: CameraUpdate) -> ProbeResult | None:
        """Look at the camera under its new address or account; None when those stay.

        Raises:
            UpstreamError, InvalidInputError: as `find` does; nothing has been changed then.
        """
        _keep_password_at_home(camera, body)
        moves = any(part is not None for part in (body.address, body.username, body.password))
        # It is asked again when its address changes: another camera may stand there.
        tells = body.analysed_by == "camera" and camera.analysed_by != "camera"
        tells |= moves and (body.analysed_by or camera.analysed_by) == "camera"
        if not moves and not tells:
            return None
        if body.address is not None:
            new = parse_address(camera.source_kind, body.address, self.prober.reach)
            self._led_to[new.url] = await taken.addresses_of(new.url)
        if not body.probe:
            return None
        address = parse_address(
            camera.source_kind, body.address or camera.address, self.prober.reach
        )
        username, password = self._account(camera, body, address)
        # The column holds one of the two.
        kind: SourceKind = "onvif" if camera.source_kind == "onvif" else "rtsp"
        found = await self.prober.probe(kind, address.url, username, password)
        if tells:
            token = always_read(camera, found, moves=moves)
            check_tells(found, token)
            if kind == "onvif":
                await self.prober.let_tell(address.url, username, password, token)
        return found if moves else None

    def _account(
        self, camera: Camera, body: CameraUpdate, address: CameraAddress
    ) -> tuple[str, str]:
        """Return user name and password after the change: named, else in the address, else kept."""
        named = None if body.password is None else body.password.get_secret_value()
        username = (address.username or camera.username) if body.username is None else body.username
        if named is not None:
            return username, named
        return username, address.password or self.password_of(camera)

    async def change(
        self, session: AsyncSession, camera: Camera, body: CameraUpdate, found: ProbeResult | None
    ) -> None:
        """Change what `body` names; `found` is what the camera is like under its new address.

        Raises:
            ConflictError: `version-conflict`: somebody else changed the camera meanwhile; or
                `address-is-a-home`: its device looks into the home of others.
            InvalidInputError: the area or the address cannot be used, or it is on another host and
                its password was not given again.
        """
        if not await repository.take_version(session, camera.id, body.version):
            raise ConflictError(
                f"Somebody else changed the camera '{camera.name}' in the meantime.",
                remedy="Load it again and repeat your change.",
                code="version-conflict",
                detail={"current": camera.version},
            )
        await session.refresh(camera)
        # Again, for somebody may have set a password while the camera was being asked.
        _keep_password_at_home(camera, body)
        address = parse_address(camera.source_kind, body.address or camera.address)
        username, password = self._account(camera, body, address)
        was = camera.address, [stream.url for stream in camera.streams]
        at_home, place = camera.place_kind == "home", home_place(camera)
        camera.address, camera.username = address.url, username
        if body.password is not None or address.password:
            camera.password_sealed = self._seal(password)
        for name in ("name", "place_kind", "enabled", "analyse"):
            if (value := getattr(body, name)) is not None:
                setattr(camera, name, value)
        if body.area is not None:
            camera.area = normalise_area(body.area)
        if body.household_id is not None:
            camera.household_id = body.household_id
        set_facts(camera, body)
        change_plan(camera, body, place, self._clock.now())
        if found is not None:
            tokens = {stream.role: stream.profile_token for stream in camera.streams}
            offered = {profile.token for profile in found.profiles}
            main = tokens.get("main", "")
            sub = tokens.get("sub", "")
            await session.run_sync(lambda _: camera.streams.clear())
            await session.flush()
            describe_found(
                camera,
                found,
                main if main in offered else found.main,
                sub if sub in offered else found.sub,
            )
        elif body.address is not None and camera.source_kind == "rtsp":
            for stream in camera.streams:
                stream.url = camera.address
        await session.flush()
        if at_home and camera.address != was[0]:
            await taken.keep_former(session, self._clock, camera, *was)
        if camera.address != was[0] or found is not None or body.model_fields_set & _PLACED:
            await self._check_free(session, camera)

    async def delete(
        self, session: AsyncSession, camera: Camera, *, given_up: bool = False
    ) -> None:
        """Take the camera out of use; its incidents and view records go on naming it.

        `given_up` says that the household itself deletes its camera: only then may the device
        become a camera of another place.
        """
        camera.deleted_at = self._clock.now()
        camera.version += 1
        camera.password_sealed = ""
        self.board.forget(camera.id)
        if given_up:
            await taken.release(session, camera)
        await session.flush()

    def describe(
        self,
        camera: Camera,
        actions: Sequence[str] = (),
        *,
        grant: GrantBrief | None = None,
        rendition: Rendition = "raw",
    ) -> CameraOut:
        """Return the camera as it goes over the wire, for whoever may do `actions`."""
        device = camera.device
        return CameraOut(
            **facts_out(camera, self.law),
            id=camera.id,
            name=camera.name,
            area=camera.area,
            place_kind=camera.place_kind,
            source_kind=camera.source_kind,
            address=camera.address,
            username=camera.username,
            has_password=bool(camera.password_sealed),
            enabled=camera.enabled,
            analyse=camera.analyse,
            transport=transport_of(camera.transport),
            analysed_by=analysed_by(camera),
            version=camera.version,
            created_at=camera.created_at,
            device=DeviceOut(**device, clock_offset_s=camera.clock_offset_s) if device else None,
            streams=[StreamOut.model_validate(s, from_attributes=True) for s in camera.streams],
            status=self.status_of(camera),
            actions=list(actions),
            grant=grant,
            rendition=rendition,
        )

    def _seal(self, password: str) -> str:
        return self._secrets.seal(password) if password else ""


def _keep_password_at_home(camera: Camera, body: CameraUpdate) -> None:
    """Refuse to send the stored password anywhere but where it was entered for.

    Another port may be another machine behind the same name, another scheme may go unencrypted.

    Raises:
        InvalidInputError: scheme, host or port change and no password comes with it.
    """
    if body.address is None or body.password is not None or not camera.password_sealed:
        return
    new = parse_address(camera.source_kind, body.address)
    if new.password or new.origin == parse_address(camera.source_kind, camera.address).origin:
        return
    raise InvalidInputError(
        "The camera's password is sent only to the host and port that it was entered for.",
        remedy="Enter the password together with the new address.",
        code="password-needed",
    )
