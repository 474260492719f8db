"""Settings of the closed loop: its time limits, who is told, and how others are reached."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class Section(BaseModel):
    """A group of settings; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class GovernanceSettings(Section):
    """The closed loop."""

    acknowledge_within_s: dict[str, float] = Field(
        default={"extreme": 30, "severe": 60, "moderate": 300, "minor": 1800, "unknown": 300},
        description="Seconds until an incident nobody acknowledged rings again, by CAP severity; "
        "for what no dispatch policy covers",
    )
    handle_within_s: float = Field(
        default=1800, gt=0, description="From acknowledgement to feedback"
    )


class DeliverySettings(Section):
    """Telling people outside of the console. Gateways and webhooks are set up in the console."""

    allow_private: bool = Field(
        default=False,
        description="Whether gateways and webhooks may lie in your own network",
    )
    attempts: int = Field(
        default=6, ge=1, le=20, description="Then a delivery is given up, visibly"
    )
    timeout_s: float = Field(
        default=15.0, gt=0, le=120, description="How long a provider may take to answer"
    )
    contact: str = Field(
        default="",
        max_length=200,
        description="mailto: or https: address by which push services reach you; advised",
    )


class HeartbeatSettings(Section):
    """A dead man's switch: an address elsewhere that hears from the hub while all is well."""

    url: SecretStr = Field(
        default=SecretStr(""), description="Asked (POST) each interval, only if all is well"
    )
    interval_s: float = Field(default=60.0, ge=5, le=3600)


class MqttSettings(Section):
    """Alarm buttons that speak MQTT. The broker is yours (Mosquitto, EMQX, ...)."""

    url: str = Field(default="", description="mqtt://host:1883 or mqtts://host:8883; empty: off")
    username: str = Field(default="", max_length=200)
    password: SecretStr = SecretStr("")
    topic: str = Field(
        default="camera-hub", pattern=r"^[A-Za-z0-9_/-]{1,100}$", description="Prefix of the topics"
    )

    @field_validator("url")
    @classmethod
    def _is_mqtt(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname):
            raise ValueError("must be mqtt://host:port or mqtts://host:port")
        if parts.username or parts.password:
            raise ValueError("must hold no user or password; set username and password")
        return value


class Dc09Settings(Section):
    """Alarm panels that speak SIA DC-09, over TCP and UDP on one port."""

    host: str = Field(default="127.0.0.1", max_length=200)
    port: int = Field(default=0, ge=0, le=65535, description="0: off; usual: 12128")


class RedisSettings(Section):
    """A stream of CloudEvents for other systems. Nothing in Redis is needed by the hub."""

    url: SecretStr = Field(
        default=SecretStr(""), description="redis://host:6379/0 or rediss://; empty: off"
    )
    stream: str = Field(default="camera-hub:events", pattern=r"^[\x21-\x7e]{1,200}$")
    keep: int = Field(
        default=100_000, ge=1000, description="Events kept that every consumer group has handled"
    )


LogLevel = Literal["debug", "info", "warning", "error"]
