"""Settings: one YAML file, overridden by `CAMERA_HUB_*` environment variables.

Unknown keys are refused with the nearest known name, so that a typing mistake
never becomes a silent default. No value is a template or a command.
"""

import difflib
import ipaddress
import os
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from tzlocal import get_localzone

from core.errors import InvalidInputError
from core.settings_loop import (
    Dc09Settings,
    DeliverySettings,
    GovernanceSettings,
    HeartbeatSettings,
    LogLevel,
    MqttSettings,
    RedisSettings,
    Section,
)
from core.settings_recording import DiskSettings, RecordingSettings
from core.yaml_text import read_yaml

ENV_PREFIX = "CAMERA_HUB_"
NOT_SETTINGS = frozenset({f"{ENV_PREFIX}CONFIG", f"{ENV_PREFIX}SHARED"})
"""Variables that say where files are: the settings; footage and models to try things with."""
KEY_CREDENTIAL = "camera-hub-key"
DEFAULT_DATA_DIR = Path("~/.local/share/camera-hub")


class SiteSettings(Section):
    """The place that is looked after."""

    name: str = Field(default="Camera Hub", max_length=80)
    area: str = Field(
        default="",
        max_length=200,
        description="Area that faults of this node belong to; empty: the whole site",
    )
    time_zone: str = Field(
        default="", description="IANA name for schedules, e.g. Asia/Shanghai; empty: the machine's"
    )
    jurisdiction: str = Field(
        default="none",
        pattern=r"^[a-z0-9_-]{1,40}$",
        description="Law that cameras keep to: none, cn, eu, uk, or the name of an own file in "
        "`jurisdictions` of the data directory; none: only the forbidden places",
    )
    owner: str = Field(
        default="", max_length=120, description="Who answers for cameras that name no owner"
    )
    contact: str = Field(
        default="", max_length=200, description="Whom to ask about cameras that name no contact"
    )
    alarm_number: str = Field(
        default="",
        pattern=r"^\+?[0-9 -]{0,20}$",
        description="Telephone of the duty desk, offered when an alarm gets no receipt",
    )
    sms_number: str = Field(
        default="",
        pattern=r"^\+?[0-9 -]{0,20}$",
        description="Number for text messages, offered when an alarm gets no receipt",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value and value not in available_timezones():
            near = difflib.get_close_matches(value, available_timezones(), n=1)
            raise ValueError(f"no such time zone{f'; did you mean {near[0]}?' if near else ''}")
        return value

    @property
    def zone(self) -> tzinfo:
        """The site's time zone."""
        return ZoneInfo(self.time_zone) if self.time_zone else get_localzone()


def checked_networks(value: list[str]) -> list[str]:
    """Return `value` if each entry is an IP address or network.

    Raises:
        ValueError: names the entry that is none.
    """
    for entry in value:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError:
            raise ValueError(f"'{entry}' is neither an IP address nor a network") from None
    return value


class ServerSettings(Section):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: int = Field(default=8480, ge=0, le=65535)
    public_url: str = Field(default="", description="Address that browsers use, for Origin checks")
    secure_cookies: bool = Field(default=False, description="Set when served over HTTPS")
    hosts: list[str] = Field(
        default=[], description="Further names by which browsers and programs reach the hub"
    )
    trusted_proxies: list[str] = Field(
        default=[],
        description="Addresses or networks of proxies whose X-Forwarded-For is believed",
    )
    streams_per_account: int = Field(
        default=100, ge=1, description="Open live views and event streams of one account"
    )
    streams_per_address: int = Field(
        default=400, ge=1, description="Open live views and event streams from one address"
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        return checked_networks(value)

    @property
    def https(self) -> bool:
        """Whether browsers reach the hub over HTTPS."""
        return self.secure_cookies or self.public_url.lower().startswith("https://")


class DatabaseSettings(Section):
    """The store: SQLite embedded, PostgreSQL scaled."""

    url: str = Field(default="", description="Empty: SQLite file in the data directory")
    busy_timeout_s: float = Field(default=15.0, gt=0)


class MediaSettings(Section):
    """Reading of cameras."""

    workers: int = Field(default=1, ge=0, le=64, description="Media worker processes on this node")
    open_timeout_s: float = Field(default=5.0, gt=0)
    read_timeout_s: float = Field(default=2.0, gt=0, description="A stall shows after about twice")
    offline_after_s: float = Field(default=10.0, gt=0, description="Then a fault is raised")
    backoff_max_s: float = Field(default=30.0, gt=0)
    allow_loopback: bool | None = Field(
        default=None,
        description="Cameras on this machine itself; empty: unless browsers elsewhere use the hub",
    )
    refused_networks: list[str] = Field(
        default=[], description="Networks in which no camera may be, besides link-local and others"
    )

    @field_validator("refused_networks")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        return checked_networks(value)


class SecretsSettings(Section):
    """The key that encrypts credentials at rest."""

    key_file: Path | None = Field(
        default=None,
        description="Empty: `secret.key` in the data directory, or what systemd hands over as "
        "the credential `camera-hub-key`",
    )

    @field_validator("key_file")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()


class AnalyticsSettings(Section):
    """Detection."""

    enabled: bool = True
    model: str = Field(
        default="auto", description="auto, a name from `camera-hub models list`, or a path"
    )
    backend: Literal["auto", "openvino", "onnxruntime", "ultralytics"] = "auto"
    max_fps: float = Field(default=5.0, gt=0, le=60, description="Detections per camera and second")
    deadline_ms: int = Field(default=500, gt=0, description="Older frames are dropped and counted")
    confidence: float = Field(default=0.4, ge=0.01, le=0.99)
    threads: int = Field(default=0, ge=0, description="Inference threads; 0 means all cores")
    redact_people_only: bool = Field(
        default=False,
        description="Redact with a model that finds no vehicles; else all of a picture is blurred",
    )


class OidcSettings(Section):
    """Sign-in through the identity provider of the organisation (OpenID Connect)."""

    issuer: str = Field(max_length=500, description="e.g. https://login.example.org/realms/town")
    client_id: str = Field(min_length=1, max_length=200)
    client_secret: SecretStr = Field(
        default=SecretStr(""), description="Better set by the environment; empty: a public client"
    )
    name: str = Field(default="", max_length=60, description="Shown on the button")
    link: Literal["none", "username"] = Field(
        default="none",
        description="none: the holder connects the own account, signed in with the password; "
        "username: an account is found by the provider's preferred_username, too",
    )

    @field_validator("issuer")
    @classmethod
    def _secure(cls, value: str) -> str:
        parts = urlsplit(value)
        on_this_machine = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if parts.scheme != "https" and not (parts.scheme == "http" and on_this_machine):
            raise ValueError("must be an https:// address")
        if parts.username or parts.query or parts.fragment:
            raise ValueError("must have no user, query or fragment")
        return value


class AccessSettings(Section):
    """Accounts and signing in."""

    second_factor_for: tuple[
        Literal[
            "resident",
            "duty_staff",
            "patrol",
            "department",
            "operator",
            "supervisor",
            "auditor",
            "administrator",
        ],
        ...,
    ] = Field(
        default=(),
        description="Roles whose accounts may only set up a second factor until they have one; "
        "advised: administrator, auditor, operator",
    )
    oidc: OidcSettings | None = None


class LogSettings(Section):
    """Log output."""

    level: LogLevel = "info"
    format: Literal["console", "json"] = "console"


class Settings(Section):
    """All settings of one node."""

    data_dir: Path = Field(default=DEFAULT_DATA_DIR)
    models_dir: Path | None = Field(
        default=None, description="Empty: `models` in the data directory"
    )
    site: SiteSettings = SiteSettings()
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    media: MediaSettings = MediaSettings()
    recording: RecordingSettings = RecordingSettings()
    secrets: SecretsSettings = SecretsSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    governance: GovernanceSettings = GovernanceSettings()
    deliveries: DeliverySettings = DeliverySettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    mqtt: MqttSettings = MqttSettings()
    dc09: Dc09Settings = Dc09Settings()
    redis: RedisSettings = RedisSettings()
    access: AccessSettings = AccessSettings()
    log: LogSettings = LogSettings()

    @field_validator("data_dir", "models_dir")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the store (async driver)."""
        return self.database.url or f"sqlite+aiosqlite:///{self.data_dir / 'camera-hub.db'}"

    @property
    def run_dir(self) -> Path:
        """Sockets, tokens and heartbeat files of this node's processes."""
        return self.data_dir / "run"

    @property
    def spool_dir(self) -> Path:
        """Signals that wait to be posted."""
        return self.data_dir / "spool"

    @property
    def attachments_dir(self) -> Path:
        """Pictures of incidents, named by their SHA-256."""
        return self.data_dir / "attachments"

    @property
    def ledger_dir(self) -> Path:
        """Keys of the ledger and its checkpoints; keep a copy elsewhere."""
        return self.data_dir / "ledger"

    @property
    def recording_disks(self) -> list[DiskSettings]:
        """Where recordings go."""
        own = DiskSettings(name="main", path=self.data_dir / "recordings")
        return self.recording.disks or [own]

    @property
    def exports_dir(self) -> Path:
        """Exports that wait to be downloaded, until they expire."""
        return self.data_dir / "exports"

    @property
    def deliveries_dir(self) -> Path:
        """Keys of links in messages and of push services; keep a copy elsewhere."""
        return self.data_dir / "deliveries"

    @property
    def models_path(self) -> Path:
        """Detection models pulled or optimised on this node."""
        return self.models_dir or self.data_dir / "models"

    @property
    def secret_key_file(self) -> Path:
        """Key that encrypts camera credentials at rest."""
        return self.secrets.key_file or self.data_dir / "secret.key"


class SettingsError(InvalidInputError):
    """The settings file or environment is wrong; the message names key and place."""

    code = "settings"


def _known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the keys that may stand at `path` below `model`."""
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _explain(error: ValidationError, source: str) -> str:
    lines = []
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        name = ".".join(path)
        if item["type"] == "extra_forbidden":
            known = _known_keys(Settings, path[:-1])
            near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}."
            lines.append(f"{source}: unknown key '{name}'; {hint}")
        else:
            lines.append(f"{source}: '{name}': {item['msg']}.")
    return "\n".join(lines)


def _from_environment(environ: dict[str, str]) -> dict[str, Any]:
    """Return nested values from `CAMERA_HUB_SECTION__KEY` variables; values are YAML scalars."""
    values: dict[str, Any] = {}
    for name, text in sorted(environ.items()):
        if not name.startswith(ENV_PREFIX) or name in NOT_SETTINGS:
            continue
        *parents, key = name.removeprefix(ENV_PREFIX).lower().split("__")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise SettingsError(
                    f"environment: {name} and {ENV_PREFIX}{parent.upper()} cannot both be set."
                )
        try:
            target[key] = read_yaml(text) if text else text
        except yaml.YAMLError as error:
            raise SettingsError(f"environment: {name} {_yaml_fault(error)}.") from None
    return values


def _from_service_manager(environ: dict[str, str]) -> dict[str, Any]:
    """Return the place of the key that systemd handed over (`LoadCredential=`), if it did."""
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    key = Path(folder, KEY_CREDENTIAL)
    return {"secrets": {"key_file": str(key)}} if folder and key.is_file() else {}


def _yaml_fault(error: yaml.YAMLError) -> str:
    """Say what is wrong and where, without quoting the text: it may hold a password."""
    problem = getattr(error, "problem", None) or "is broken"
    mark = getattr(error, "problem_mark", None)
    return f"is not valid YAML{f', line {mark.line + 1}' if mark else ''}: {problem}"


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = (
            _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged


def load_settings(
    path: Path | None = None,
    environ: dict[str, str] | None = None,
    overrides: dict[str, Any] | None = None,
) -> Settings:
    """Read settings from `path` (or `$CAMERA_HUB_CONFIG`), then the environment, then `overrides`.

    Raises:
        SettingsError: unreadable file, unknown key or wrong value; names file and key.
    """
    environ = dict(os.environ) if environ is None else environ
    if path is None and environ.get(f"{ENV_PREFIX}CONFIG"):
        path = Path(environ[f"{ENV_PREFIX}CONFIG"])
    from_file: Any = {}
    if path is not None:
        try:
            from_file = read_yaml(path.read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise SettingsError(
                f"Cannot read the settings file {path}: {error.strerror}."
            ) from error
        except yaml.YAMLError as error:
            raise SettingsError(f"{path} {_yaml_fault(error)}.") from None
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path} is not valid YAML: it is not UTF-8.") from error
        if not isinstance(from_file, dict):
            raise SettingsError(
                f"{path} must hold a mapping of settings, not a {type(from_file).__name__}."
            )
        _validate(from_file, str(path))
    from_env = _from_environment(environ)
    _validate(from_env, "environment")
    given = _merge(_from_service_manager(environ), from_file)
    return _validate(_merge(_merge(given, from_env), overrides or {}), "settings")


def _validate(values: dict[str, Any], source: str) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error, source)) from error
