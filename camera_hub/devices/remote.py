"""What is asked of cameras that were added: their own settings, their clock, their head."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from camera_hub.devices import device_time, encoders, media, onvif, ptz
from camera_hub.devices.address import CameraAddress, parse_address
from camera_hub.devices.choice import USABLE, choose, warnings_of
from camera_hub.devices.conversation import Conversation, DeviceTime
from camera_hub.devices.conversations import Conversations, Kept
from camera_hub.devices.device_schemas import (
    ClockOut,
    ClockUpdate,
    DeviceDetailsOut,
    DifferenceOut,
    EncoderOptionsOut,
    EncoderOut,
    EncoderSetOut,
    EncoderUpdate,
    PresetOut,
    PtzAxesOut,
    PtzCommand,
    PtzDoneOut,
    PtzOut,
    PtzPlaceOut,
    RangeOut,
    SizeOut,
)
from camera_hub.devices.errors import CameraRefusedError
from camera_hub.devices.models import Camera
from camera_hub.devices.ptz_leases import LEASE_S, PtzLeases
from camera_hub.devices.ptz_rows import PtzRows
from camera_hub.devices.schemas import DeviceOut, ProfileOut, StreamRole, WarningOut
from camera_hub.streams.reach import Reach
from core.clock import Clock
from core.errors import ConflictError, InvalidInputError

Roles = Mapping[str, list[StreamRole]]
"""Which of our streams a profile's token is."""

_NAMES_PRESET = frozenset({"preset", "rename_preset", "remove_preset"})
_STANDS_STILL = frozenset({"save_preset", "remove_preset"})


class Remote:
    """Asks ONVIF cameras, and tells them."""

    def __init__(self, clock: Clock, reach: Reach, rows: PtzRows | None = None) -> None:
        """Keep who turns what in `rows`, for all processes."""
        self._clock = clock
        self._reach = reach
        self._conversations = Conversations(clock)
        self.leases = PtzLeases(clock, self._conversations, rows)

    async def close(self) -> None:
        """Stop what moves, and let go of every connection."""
        await self.leases.close()
        await self._conversations.close()

    def address_of(self, camera: Camera, password: str) -> CameraAddress:
        """Return where `camera` is asked, and as whom.

        Raises:
            ConflictError: code `no-onvif`: it was added by its RTSP address.
            InvalidInputError: its address is none any more (`media.refused_networks`).
        """
        if camera.source_kind != "onvif":
            raise ConflictError(
                f"'{camera.name}' was added by its RTSP address, which has no settings.",
                remedy="Add it by its ONVIF address (host and port) to use them.",
                code="no-onvif",
            )
        found = parse_address("onvif", camera.address, self._reach)
        return CameraAddress(
            host=found.host,
            port=found.port,
            url=found.url,
            text=found.text,
            username=camera.username,
            password=password,
            reach=self._reach,
        )

    async def details(
        self, camera_id: UUID, address: CameraAddress, roles: Roles
    ) -> DeviceDetailsOut:
        """Ask a camera everything about itself.

        Raises:
            CameraError: it cannot be asked.
        """
        async with self._conversations.use(camera_id, address) as kept:
            talk = kept.talk
            now = await talk.read_time()
            facts = await onvif.read_facts(talk)
            version, profiles = await media.read_profiles(talk)
            owners = {one.encoder: roles[one.token] for one in profiles if one.token in roles}
            found = await self._encoders(talk, version, owners)
            services = await talk.services()
            clock = await self._clock_out(talk, now)
        offered = [one.profile("", "") for one in profiles]
        chosen = [one for one in offered if one.token in roles and one.codec in USABLE]
        told = warnings_of(*choose(chosen)) if chosen else []
        if clock.offset_s is not None and (skew := onvif.skew_warning(clock.offset_s)):
            told.insert(0, skew)
        return DeviceDetailsOut(
            device=DeviceOut(
                manufacturer=facts.manufacturer,
                model=facts.model,
                firmware=facts.firmware,
                serial=facts.serial,
                clock_offset_s=clock.offset_s,
            ),
            clock=clock,
            media=version,
            profiles=[ProfileOut.model_validate(one, from_attributes=True) for one in offered],
            encoders=found,
            ptz="tptz" in services and any(one.ptz for one in profiles),
            events="tev" in services,
            warnings=[WarningOut(code=one.code, message=one.message) for one in told],
        )

    async def _encoders(
        self, talk: Conversation, version: media.Version, owners: Roles
    ) -> list[EncoderOut]:
        try:
            found = await encoders.read_encoders(talk, version)
        except CameraRefusedError:
            return []
        return [_encoder_out(one, owners) for one in found]

    async def set_encoder(
        self,
        camera_id: UUID,
        address: CameraAddress,
        token: str,
        body: EncoderUpdate,
        roles: Roles,
    ) -> tuple[EncoderSetOut, set[str]]:
        """Set an encoder; return it as it is now, and the profiles that it makes.

        Raises:
            InvalidInputError: `no-such-encoder`, `not-offered`, or nothing to set.
            CameraError: the camera cannot be asked, or refuses.
        """
        async with self._conversations.use(camera_id, address) as kept:
            talk = kept.talk
            version, profiles = await media.read_profiles(talk)
            offered = await encoders.read_encoders(talk, version)
            before = next((one for one in offered if one.setting.token == token), None)
            wish = _wish_of(body, before)
            after, differences = await encoders.set_encoder(talk, version, token, wish)
        owners = {one.encoder: roles[one.token] for one in profiles if one.token in roles}
        now = encoders.Encoder(after, before.options if before else ())
        return EncoderSetOut(
            encoder=_encoder_out(now, owners),
            not_taken=[
                DifferenceOut(setting=d.setting, asked=d.asked, accepted=d.accepted)
                for d in differences
            ],
        ), {one.token for one in profiles if one.encoder == token}

    async def set_clock(
        self, camera_id: UUID, address: CameraAddress, body: ClockUpdate
    ) -> ClockOut:
        """Set a camera's clock, or let it follow a time server; return it as it is then.

        Raises:
            InvalidInputError: `invalid-server`.
            CameraError: the camera cannot be asked, or refuses.
        """
        async with self._conversations.use(camera_id, address) as kept:
            if body.mode == "ntp":
                now = await device_time.follow_server(kept.talk, body.server)
            else:
                now = await device_time.set_now(kept.talk)
            return await self._clock_out(kept.talk, now)

    async def _clock_out(self, talk: Conversation, now: DeviceTime) -> ClockOut:
        by_dhcp, servers = await device_time.read_servers(talk)
        offset = now.offset
        return ClockOut(
            at=None if offset is None else self._clock.now() + offset,
            offset_s=None if offset is None else round(offset / timedelta(seconds=1), 3),
            mode=now.mode,
            timezone=now.timezone,
            servers=servers,
            servers_by_dhcp=by_dhcp,
        )

    async def restart(self, camera_id: UUID, address: CameraAddress) -> None:
        """Let a camera restart.

        Raises:
            CameraError: it cannot be asked, or refuses.
        """
        async with self._conversations.use(camera_id, address) as kept:
            await device_time.restart(kept.talk)
        self._conversations.forget(camera_id)

    async def head(self, camera_id: UUID, address: CameraAddress) -> PtzOut:
        """Return what a camera's head can do and where it is.

        Raises:
            NoPtzError: it has none.
            CameraError: it cannot be asked.
        """
        async with self._conversations.use(camera_id, address) as kept:
            head = await kept.head_of()
            presets = await ptz.read_presets(kept.talk, head)
            place = await ptz.read_place(kept.talk, head)
        turns, goes = head.speeds.pan is not None, head.positions.pan is not None
        return PtzOut(
            can_move=turns,
            can_zoom=head.speeds.zoom is not None,
            can_go=goes or head.positions.zoom is not None,
            home=head.home,
            limits=PtzAxesOut(
                pan=_range_out(head.positions.pan),
                tilt=_range_out(head.positions.tilt),
                zoom=_range_out(head.positions.zoom),
            ),
            presets=[PresetOut(token=one.token, name=one.name) for one in presets],
            position=None
            if place is None
            else PtzPlaceOut(pan=place.pan, tilt=place.tilt, zoom=place.zoom),
            moving=await self.leases.moving_now(camera_id),
            lease_s=LEASE_S,
            problem=self.leases.problem(camera_id),
        )

    async def turn(
        self, camera_id: UUID, address: CameraAddress, body: PtzCommand, who: str = ""
    ) -> PtzDoneOut:
        """Do one command of `who`, a text that tells one person from another.

        Raises:
            InvalidInputError: it names no preset, or nothing to do.
            ConflictError: code `ptz-taken`: somebody else turns it now.
            NoPtzError: the camera has no head.
            CameraError: it cannot be asked, refuses, or has not accepted a stop.
        """
        place = ptz.Place(body.pan, body.tilt, body.zoom)
        saved = ""
        if body.op == "stop":
            await self.leases.stop(camera_id, address)
        elif body.op == "move":
            if place == ptz.Place():
                raise _nothing("Give a speed for pan and tilt, or for zoom.")
            await self.leases.move(camera_id, address, place, who)
        else:
            if body.op in _NAMES_PRESET and not body.preset:
                raise _nothing("Name the preset.")
            if body.op == "rename_preset" and not body.name:
                raise _nothing("Say what the preset is to be called.")

            async def work() -> str:
                async with self._conversations.use(camera_id, address) as kept:
                    return await _do(kept, body, place)

            if body.op in _STANDS_STILL:
                saved = await work()
            else:
                saved = await self.leases.instead(camera_id, address, work, who)
        return PtzDoneOut(moving=self.leases.moving(camera_id), lease_s=LEASE_S, preset=saved)


async def _do(kept: Kept, body: PtzCommand, place: ptz.Place) -> str:
    head = await kept.head_of()
    if body.op == "absolute":
        if place == ptz.Place():
            raise _nothing("Give a position for pan and tilt, or for zoom.")
        if (place.pan is None) != (place.tilt is None):
            now = await ptz.read_place(kept.talk, head) or ptz.Place()
            place = ptz.Place(
                now.pan if place.pan is None else place.pan,
                now.tilt if place.tilt is None else place.tilt,
                place.zoom,
            )
        await ptz.go(kept.talk, head, place)
    elif body.op == "preset":
        await ptz.go_to_preset(kept.talk, head, body.preset)
    elif body.op == "save_preset":
        return await ptz.save_preset(kept.talk, head, body.name or "Preset", body.preset)
    elif body.op == "rename_preset":
        return await ptz.rename_preset(kept.talk, head, body.preset, body.name)
    elif body.op == "remove_preset":
        await ptz.remove_preset(kept.talk, head, body.preset)
    else:
        await ptz.go_home(kept.talk, head)
    return ""


def _nothing(remedy: str) -> InvalidInputError:
    return InvalidInputError("This says nothing to do.", remedy=remedy, code="nothing-to-do")


def _wish_of(body: EncoderUpdate, before: encoders.Encoder | None) -> encoders.Wish:
    """Return what is wished for.

    Raises:
        InvalidInputError: there is no such encoder, nothing to set, or half a size.
    """
    if before is None:
        raise InvalidInputError(
            "The camera has no such encoder.",
            remedy="Load the camera's settings again and choose one of its encoders.",
            code="no-such-encoder",
        )
    named = body.model_fields_set - {"fit"}
    if body.fit == "sub" and not named:
        return encoders.fitting_sub(before)
    if body.fit is not None or not named:
        raise _nothing("Name what to set, or `fit` alone.")
    if (body.width is None) != (body.height is None):
        raise _nothing("Width and height go together.")
    return encoders.Wish(**body.model_dump(exclude={"fit"}))


def _encoder_out(encoder: encoders.Encoder, owners: Roles) -> EncoderOut:
    now = encoder.setting
    return EncoderOut(
        token=now.token,
        name=now.name,
        codec=now.codec,
        width=now.width,
        height=now.height,
        fps=now.fps,
        bitrate_kbps=now.bitrate_kbps,
        gop=now.gop,
        roles=owners.get(now.token, []),
        options=[
            EncoderOptionsOut(
                codec=one.codec,
                sizes=[SizeOut(width=width, height=height) for width, height in one.sizes],
                fps=list(one.fps),
                fps_is_range=one.fps_is_range,
                gop=_pair_out(one.gop),
                bitrate_kbps=_pair_out(one.bitrate_kbps),
            )
            for one in encoder.options
        ],
    )


def _pair_out(limits: tuple[float, float] | None) -> RangeOut | None:
    return None if limits is None else RangeOut(min=limits[0], max=limits[1])


def _range_out(limits: ptz.Range | None) -> RangeOut | None:
    return None if limits is None else RangeOut(min=limits.low, max=limits.high)
