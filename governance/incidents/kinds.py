"""Kinds of incidents: what the types of signals are called, and what is known of each kind."""

KINDS = {
    "org.camerahub.detection.intrusion": "intrusion",
    "org.camerahub.detection.person_down": "person_down",
    "org.camerahub.camera.offline": "camera_offline",
    "org.camerahub.process.failed": "process_failed",
    "org.camerahub.spool.trouble": "spool_trouble",
    "org.camerahub.device.silent": "device_silent",
    "org.camerahub.alarm.fire": "alarm_fire",
    "org.camerahub.alarm.security": "alarm_security",
    "org.camerahub.alarm.medical": "alarm_medical",
}
"""Types of signals that the hub knows; any other type is of kind `other`."""

OF_A_CAMERA = frozenset({"intrusion", "person_down", "camera_offline"})
DETECTIONS = frozenset({"intrusion", "person_down"})
_PRESSED = {"urgency": "Immediate", "certainty": "Observed"}
ALARMS: dict[str, dict[str, str]] = {
    "alarm_fire": {
        **_PRESSED,
        "category": "Fire",
        "severity": "Extreme",
        "headline": "Fire alarm",
    },
    "alarm_security": {
        **_PRESSED,
        "category": "Security",
        "severity": "Severe",
        "headline": "Security alarm",
    },
    "alarm_medical": {
        **_PRESSED,
        "category": "Health",
        "severity": "Extreme",
        "headline": "Medical alarm",
    },
}
"""What a household presses, and what such a signal means where it does not say so itself."""

RECOVERING = frozenset({"camera_offline", "process_failed", "spool_trouble", "device_silent"})
"""Kinds whose `ended` closes the incident by itself, if nobody is handling it."""
