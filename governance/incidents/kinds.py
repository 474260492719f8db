"""Kinds of incidents: what the types of signals are called, and what is known of each kind."""

KINDS = {
    "org.camerahub.detection.intrusion": "intrusion",
    "org.camerahub.detection.person_down": "person_down",
    "org.camerahub.camera.offline": "camera_offline",
    "org.camerahub.camera.tampered": "camera_tampered",
    "org.camerahub.camera.input": "camera_input",
    "org.camerahub.camera.frozen": "camera_frozen",
    "org.camerahub.camera.black": "camera_black",
    "org.camerahub.camera.overexposed": "camera_overexposed",
    "org.camerahub.camera.covered": "camera_covered",
    "org.camerahub.camera.blurred": "camera_blurred",
    "org.camerahub.camera.moved": "camera_moved",
    "org.camerahub.camera.clock": "camera_clock",
    "org.camerahub.camera.low_rate": "camera_low_rate",
    "org.camerahub.camera.not_recording": "camera_not_recording",
    "org.camerahub.camera.not_analysed": "camera_not_analysed",
    "org.camerahub.storage.disk_failed": "disk_failed",
    "org.camerahub.storage.full": "storage_full",
    "org.camerahub.storage.full-soon": "storage_full_soon",
    "org.camerahub.storage.lost": "footage_lost",
    "org.camerahub.machine.clock": "machine_clock",
    "org.camerahub.process.failed": "process_failed",
    "org.camerahub.spool.trouble": "spool_trouble",
    "org.camerahub.device.silent": "device_silent",
    "org.camerahub.alarm.fire": "alarm_fire",
    "org.camerahub.alarm.security": "alarm_security",
    "org.camerahub.alarm.medical": "alarm_medical",
}
"""Types of signals that the hub knows; any other type is of kind `other`."""

CAMERA_FAULTS = frozenset(
    {
        "camera_offline",
        "camera_tampered",
        "camera_frozen",
        "camera_black",
        "camera_overexposed",
        "camera_covered",
        "camera_blurred",
        "camera_moved",
        "camera_clock",
        "camera_low_rate",
        "camera_not_recording",
        "camera_not_analysed",
    }
)
"""What can be wrong with a camera; each ends when the camera is well again."""

OF_A_CAMERA = frozenset({"intrusion", "person_down", "camera_input"}) | CAMERA_FAULTS
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

RECOVERING = CAMERA_FAULTS | {
    "disk_failed",
    "storage_full",
    "storage_full_soon",
    "footage_lost",
    "machine_clock",
    "process_failed",
    "spool_trouble",
    "device_silent",
}
"""Kinds whose `ended` closes the incident by itself, if nobody is handling it."""
