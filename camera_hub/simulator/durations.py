"""Lengths of time as XML Schema writes them (`PT60S`)."""

import re

from camera_hub.simulator.onvif_xml import SoapFaultError

_DURATION = re.compile(
    r"P(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)


def seconds_of(text: str) -> float:
    """Return the seconds of a duration without years and months.

    Raises:
        SoapFaultError: it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise SoapFaultError("InvalidArgVal", f"{text} is no duration.")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
