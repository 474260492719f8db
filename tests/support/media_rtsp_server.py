"""A camera for tests: Debian's gst-rtsp-server, run as a process under the system's python3.

Not imported by tests. It takes one JSON command a line on stdin and answers each with one
JSON line on stdout; see `RtspServer` in `tests/support/media.py` for what there is. Pictures
come from `.aus` files (u32 length and one Annex B access unit, repeated), pushed in real time
and looped with timestamps that go on, so that the test knows every byte the camera sends.
"""

import json
import struct
import sys
import threading
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)

OTHER_KINDS = {
    "audio": "audiotestsrc is-live=true ! audioconvert ! alawenc ! rtppcmapay name=pay0 pt=8",
    "jpeg": "videotestsrc is-live=true "
    "! video/x-raw,format=I420,width=160,height=120,framerate=10/1 "
    "! jpegenc ! rtpjpegpay name=pay0 pt=26",
    "audio_first": "audiotestsrc is-live=true ! audioconvert ! alawenc ! rtppcmapay name=pay0 pt=8 "
    "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 "
    "! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay1 pt=96",
    "sound_aac": "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 "
    "! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 pt=96 "
    "audiotestsrc is-live=true ! audio/x-raw,rate=16000,channels=1 ! audioconvert "
    "! voaacenc ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "sound_pcmu": "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 "
    "! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 pt=96 "
    "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! audioconvert "
    "! mulawenc ! rtppcmupay name=pay1 pt=0",
    "b_frames": "videotestsrc is-live=true pattern=ball "
    "! video/x-raw,width=160,height=120,framerate=25/1 "
    "! x264enc bframes=2 b-adapt=false key-int-max=25 ! video/x-h264,profile=main "
    "! rtph264pay name=pay0 pt=96",
    "datagrams": "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 "
    "! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 pt=96 config-interval=-1",
}


def access_units(path):
    data = Path(path).read_bytes()
    units, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        units.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return units


class Mount:
    """One stream: a shared factory whose appsrc is fed by a timer."""

    def __init__(self, server, path, footage, fps, codec):
        self.units = access_units(footage)
        self.fps, self.next, self.ticks = fps, 0, 0
        self.stalled = False
        self.source = None
        self.pending_units = None
        payloader = "rtph264pay" if codec == "h264" else "rtph265pay"
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_launch(
            "( appsrc name=src is-live=true format=time "
            f"caps=video/x-{codec},stream-format=byte-stream,alignment=au "
            f"! {payloader} name=pay0 pt=96 config-interval=-1 )"
        )
        self.factory.set_shared(True)
        self.factory.connect("media-configure", self.configure)
        server.publish(path, self.factory)
        GLib.timeout_add(int(1000 / fps), self.tick)

    def configure(self, _factory, media):
        self.source = media.get_element().get_by_name("src")
        self.next, self.ticks = 0, 0
        media.connect("unprepared", self.unprepared, self.source)

    def unprepared(self, _media, source):
        if self.source is source:
            self.source = None

    def tick(self):
        if self.source is None:
            return True
        self.ticks += 1
        if self.stalled:
            return True
        if self.next == 0 and self.pending_units is not None:
            self.units, self.pending_units = self.pending_units, None
        buffer = Gst.Buffer.new_wrapped(self.units[self.next])
        self.next = (self.next + 1) % len(self.units)
        buffer.pts = buffer.dts = int(self.ticks / self.fps * Gst.SECOND)
        buffer.duration = int(Gst.SECOND / self.fps)
        self.source.emit("push-buffer", buffer)
        return True


class Server:
    def __init__(self, port, username, password):
        self.server = GstRtspServer.RTSPServer()
        self.server.set_address("127.0.0.1")
        self.server.set_service(str(port))
        self.mounts = {}
        self.attempts = []
        self.server.connect(
            "client-connected",
            lambda *_: self.attempts.append(GLib.get_monotonic_time() / 1_000_000),
        )
        self.auth = None
        if username:
            self.auth = GstRtspServer.RTSPAuth()
            self.auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            self.set_password(username, password)
            self.server.set_auth(self.auth)
        self.source_id = self.server.attach(None)

    def set_password(self, username, password):
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        self.auth.add_digest(username, password, token)

    def publish(self, path, factory):
        if self.auth is not None:
            role = Gst.Structure.new_from_string(
                "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true;"
            )
            factory.add_role_from_structure(role)
        self.server.get_mount_points().add_factory(path, factory)

    def kick(self):
        self.server.client_filter(lambda _server, _client: GstRtspServer.RTSPFilterResult.REMOVE)

    def command(self, command):
        op, path = command["op"], command.get("path")
        if op == "mount":
            if command.get("kind", "video") == "video":
                self.mounts[path] = Mount(
                    self, path, command["footage"], command["fps"], command["codec"]
                )
            else:
                factory = GstRtspServer.RTSPMediaFactory()
                factory.set_launch(f"( {OTHER_KINDS[command['kind']]} )")
                factory.set_shared(True)
                if command["kind"] == "datagrams":
                    factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
                self.publish(path, factory)
        elif op == "stall":
            self.mounts[path].stalled = True
        elif op == "resume":
            self.mounts[path].stalled = False
        elif op == "footage":
            self.mounts[path].pending_units = access_units(command["footage"])
        elif op == "kick":
            self.kick()
        elif op == "set_password":
            self.auth.remove_digest(command["username"])
            self.set_password(command["username"], command["password"])
        elif op == "attempts":
            return {"ok": True, "attempts": self.attempts}
        return {"ok": True}


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main():
    port, username, password = int(sys.argv[1]), sys.argv[2], sys.stdin.readline().rstrip("\n")
    server = Server(port, username, password)
    loop = GLib.MainLoop()

    def answer(line):
        say(server.command(json.loads(line)))
        return False

    def listen():
        for line in sys.stdin:
            GLib.idle_add(answer, line)
        GLib.idle_add(loop.quit)

    threading.Thread(target=listen, daemon=True).start()
    ok = server.source_id != 0
    say({"ok": ok})
    if ok:
        loop.run()


main()
