"""The ways in which real devices misbehave, by name, and what each does to an answer.

A device has any number of them. Each holds for every request that it concerns; those that
change what a service answers are looked for there, those that spoil a finished answer are here.
"""

from collections.abc import Collection
from enum import StrEnum

from camera_hub.simulator import onvif_xml as xml

GIANT_BYTES = 8 << 20
"""How long the answers of `giant-answer` are."""
_LEFT_OUT = ("tt:Quality", "tt:SessionTimeout", "tt:Multicast", "tt:RateControl", "tds:HardwareId")


class Quirk(StrEnum):
    """One way of misbehaving; `EXPLAINED` says what each is."""

    MALFORMED_XML = "malformed-xml"
    NOT_A_CAMERA = "not-a-camera"
    NO_MEDIA_SERVICE = "no-media-service"
    SLOW = "slow-answers"
    WRONG_HOST_IN_URI = "wrong-host-in-uri"
    ENTITY_BOMB = "entity-bomb"
    NO_PROFILES = "no-profiles"
    HTTP_500 = "http-500"
    NAMESPACES_WRONG = "namespaces-wrong"
    MISSING_FIELDS = "missing-fields"
    HTTP_500_INSTEAD_OF_FAULT = "http-500-instead-of-fault"
    FAULT_WITH_HTTP_200 = "fault-with-http-200"
    PROFILE_WITHOUT_ENCODER = "profile-without-encoder"
    LOCAL_TIME_AS_UTC = "local-time-as-utc"
    NO_CLOCK = "no-clock"
    CLOCK_NEEDS_PASSWORD = "clock-needs-password"  # noqa: S105 - a quirk's name
    NO_GET_SERVICES = "no-get-services"
    GIANT_ANSWER = "giant-answer"
    MEDIA2_ONLY = "media2-only"
    NO_MEDIA2 = "no-media2"
    SOAP_11 = "soap-11"
    NUMBERS_NONSENSE = "numbers-nonsense"
    DUPLICATE_TOKENS = "duplicate-tokens"
    HTTP_DIGEST_ONLY = "http-digest-only"
    DIGEST_SHA256 = "digest-sha256"
    XADDR_OF_OTHER_HOST = "xaddr-of-other-host"
    EMPTY_SNAPSHOT_URI = "empty-snapshot-uri"
    NO_PTZ = "no-ptz"
    PTZ_STATUS_INVALID = "ptz-status-invalid"
    PTZ_IGNORES_TIMEOUT = "ptz-ignores-timeout"
    NO_PTZ_LIMITS = "no-ptz-limits"
    ENCODER_LIES = "encoder-lies"
    ENCODER_REFUSES = "encoder-refuses"
    NO_EVENTS = "no-events"
    EVENTS_MALFORMED = "events-malformed"
    EVENTS_AT_ONCE = "events-at-once"
    EVENTS_SHORT_LIVED = "events-short-lived"
    NO_RENEW = "no-renew"
    SUBSCRIPTION_IN_HEADER = "subscription-in-header"
    DISCOVERY_GARBAGE = "discovery-garbage"
    NO_METADATA = "no-metadata"
    METADATA_NOT_TAKEN = "metadata-not-taken"
    METADATA_REFUSED = "metadata-refused"
    METADATA_SILENT = "metadata-silent"
    METADATA_GZIP = "metadata-gzip"
    METADATA_GZIP_ONLY = "metadata-gzip-only"
    METADATA_WRONG_NAMESPACE = "metadata-wrong-namespace"
    METADATA_MALFORMED = "metadata-malformed"
    METADATA_ENTITY_BOMB = "metadata-entity-bomb"
    METADATA_OUTSIDE = "metadata-outside"
    METADATA_HUGE = "metadata-huge"
    METADATA_ENDLESS = "metadata-endless"
    METADATA_OF_PEOPLE = "metadata-of-people"
    NAME_IN_GBK = "name-in-gbk"
    TCP_REFUSED = "tcp-refused"
    UDP_REFUSED = "udp-refused"
    DATAGRAMS_BLOCKED = "datagrams-blocked"
    DATAGRAMS_LOST = "datagrams-lost"
    DATAGRAMS_LATE = "datagrams-late"
    DATAGRAMS_TWICE = "datagrams-twice"
    DATAGRAMS_FORGED = "datagrams-forged"


EXPLAINED: dict[Quirk, str] = {
    Quirk.MALFORMED_XML: "every answer ends after two thirds",
    Quirk.NOT_A_CAMERA: "a router's sign-in page answers every request",
    Quirk.NO_MEDIA_SERVICE: "no media service is named, and none answers",
    Quirk.SLOW: "every answer takes longer than anybody waits",
    Quirk.WRONG_HOST_IN_URI: "streams and snapshots are said to be on a host of the factory's",
    Quirk.ENTITY_BOMB: "every answer defines entities that grow to gigabytes",
    Quirk.NO_PROFILES: "the media services know no profile",
    Quirk.HTTP_500: "every request fails with HTTP 500 and a line of text",
    Quirk.NAMESPACES_WRONG: "elements of the common schema stand in the service's namespace",
    Quirk.MISSING_FIELDS: "fields that the schema demands are left out",
    Quirk.HTTP_500_INSTEAD_OF_FAULT: "what should be a fault is HTTP 500 and a line of text",
    Quirk.FAULT_WITH_HTTP_200: "faults come with HTTP 200",
    Quirk.PROFILE_WITHOUT_ENCODER: "the second profile has no video encoder",
    Quirk.LOCAL_TIME_AS_UTC: "the clock shows local time (UTC+8) and calls it UTC",
    Quirk.NO_CLOCK: "GetSystemDateAndTime is not supported",
    Quirk.CLOCK_NEEDS_PASSWORD: "GetSystemDateAndTime is refused without a signature",
    Quirk.NO_GET_SERVICES: "GetServices is not supported, GetCapabilities is",
    Quirk.GIANT_ANSWER: "every answer is eight megabytes long",
    Quirk.MEDIA2_ONLY: "there is the media service of version 20 only",
    Quirk.NO_MEDIA2: "there is the media service of version 10 only",
    Quirk.SOAP_11: "answers are in the envelope of SOAP 1.1",
    Quirk.NUMBERS_NONSENSE: "resolutions, rates and intervals are no numbers, or negative ones",
    Quirk.DUPLICATE_TOKENS: "all profiles have the same token",
    Quirk.HTTP_DIGEST_ONLY: "signatures in SOAP are not enough: HTTP digest is asked for",
    Quirk.DIGEST_SHA256: "HTTP digest and RTSP digest know SHA-256 only (RFC 7616)",
    Quirk.XADDR_OF_OTHER_HOST: "services are said to be on a host of the factory's",
    Quirk.EMPTY_SNAPSHOT_URI: "the address of snapshots is empty",
    Quirk.NO_PTZ: "there is no PTZ service",
    Quirk.PTZ_STATUS_INVALID: "the PTZ status is no well-formed XML",
    Quirk.PTZ_IGNORES_TIMEOUT: "a movement goes on until Stop, whatever timeout was given",
    Quirk.NO_PTZ_LIMITS: "PTZ nodes and configurations say nothing of spaces and limits",
    Quirk.ENCODER_LIES: "encoder settings are accepted and not taken over",
    Quirk.ENCODER_REFUSES: "encoder settings are refused, whatever they are",
    Quirk.NO_EVENTS: "there is no event service",
    Quirk.EVENTS_MALFORMED: "messages pulled have neither time nor items as agreed",
    Quirk.EVENTS_AT_ONCE: "PullMessages is answered at once, with nothing",
    Quirk.EVENTS_SHORT_LIVED: "subscriptions last five seconds, whatever was asked for",
    Quirk.NO_RENEW: "Renew is not supported",
    Quirk.SUBSCRIPTION_IN_HEADER: "subscriptions have one address; a header says which is meant",
    Quirk.DISCOVERY_GARBAGE: "a WS-Discovery probe is answered with bytes that are no XML",
    Quirk.NO_METADATA: "it cannot say what it sees: there is no metadata configuration",
    Quirk.METADATA_NOT_TAKEN: "metadata is added to a profile without a word, and is not there",
    Quirk.METADATA_REFUSED: "the metadata track is described, and SETUP of it refused",
    Quirk.METADATA_SILENT: "the metadata track is played, and nothing comes",
    Quirk.METADATA_GZIP: "metadata is offered packed with gzip first, and plainly too",
    Quirk.METADATA_GZIP_ONLY: "metadata is offered packed with gzip only",
    Quirk.METADATA_WRONG_NAMESPACE: "metadata is in a namespace of its own, its prefix undeclared",
    Quirk.METADATA_MALFORMED: "every metadata document ends after two thirds",
    Quirk.METADATA_ENTITY_BOMB: "metadata documents define entities that grow to gigabytes",
    Quirk.METADATA_OUTSIDE: "the boxes of all objects are outside of the picture",
    Quirk.METADATA_HUGE: "each metadata document has six thousand objects",
    Quirk.METADATA_ENDLESS: "no metadata document ever ends",
    Quirk.METADATA_OF_PEOPLE: "each object comes with a face, age, clothes, a plate and a code",
    Quirk.NAME_IN_GBK: "the name in the stream's description is in GBK",
    Quirk.TCP_REFUSED: "packets within the RTSP connection are refused (461)",
    Quirk.UDP_REFUSED: "datagrams to one viewer are refused (461)",
    Quirk.DATAGRAMS_BLOCKED: "datagrams are agreed on, and a firewall lets none through",
    Quirk.DATAGRAMS_LOST: "every twentieth datagram is lost",
    Quirk.DATAGRAMS_LATE: "every eighth datagram is overtaken by the next",
    Quirk.DATAGRAMS_TWICE: "every fifth datagram comes twice",
    Quirk.DATAGRAMS_FORGED: "a stranger sends each datagram first, with rubbish inside",
}
"""What each quirk is, for a person."""

Quirks = Collection[Quirk]


def spoil(text: str, quirks: Quirks) -> str:
    """Return a finished answer as a device with `quirks` sends it."""
    if Quirk.ENTITY_BOMB in quirks:
        return xml.entity_bomb()
    if Quirk.SOAP_11 in quirks:
        text = text.replace(
            "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"
        )
    if Quirk.NAMESPACES_WRONG in quirks:
        text = text.replace(xml.SCHEMA_NS, f"{xml.SCHEMA_NS}/common")
    if Quirk.MISSING_FIELDS in quirks:
        for tag in _LEFT_OUT:
            text = xml.without(text, tag)
    if Quirk.NUMBERS_NONSENSE in quirks:
        for tag, value in (
            ("tt:Width", "1280px"),
            ("tt:Height", "-720"),
            ("tt:FrameRateLimit", "NaN"),
            ("tt:BitrateLimit", "99999999999999999999"),
        ):
            text = xml.with_content(text, tag, value)
    if Quirk.GIANT_ANSWER in quirks:
        filling = "<!-- -->" * (GIANT_BYTES // 8)
        text = text.replace("<s:Body>", f"<s:Body>{filling}", 1)
    if Quirk.MALFORMED_XML in quirks:
        text = text[: len(text) * 2 // 3]
    return text
