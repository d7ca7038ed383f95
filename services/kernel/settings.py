"""Settings of a service process, from environment variables OPSLEDGER_*. The only place that reads the environment."""

from __future__ import annotations

from functools import cached_property
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One service's settings. Secrets are SecretStr, so that no log line shows them."""

    model_config = SettingsConfigDict(env_prefix="OPSLEDGER_", extra="ignore", frozen=True)

    service: str
    host: str = "127.0.0.1"
    port: int = 8080
    database_url: str = ""
    nats_url: str = "nats://127.0.0.1:8085"
    nats_user: str = ""
    nats_password: SecretStr = SecretStr("")
    org_url: str = "http://127.0.0.1:8081"
    activity_url: str = "http://127.0.0.1:8082"
    tickets_url: str = "http://127.0.0.1:8083"
    kpi_url: str = "http://127.0.0.1:8084"
    timezone: str = "Asia/Shanghai"
    activity_shards: int = Field(default=1, ge=1, le=256)
    service_secret: SecretStr = SecretStr("")
    commit_limit_bytes: int = Field(default=524_288, ge=4096)
    command_days: int = Field(default=35, ge=30)  # that an idempotency key is remembered
    tickets_unit: str = "customer-service"  # answers for publishers' tickets that name no unit (handbook H-12)
    log_level: str = "INFO"

    # org only: what it checks grants against, and what it signs NATS permissions with
    service_secrets: dict[str, SecretStr] = Field(default_factory=dict)
    instance_secret: SecretStr = SecretStr("")
    nats_issuer_seed: SecretStr = SecretStr("")  # account nkey seed, "SA..."; empty = no call-out is answered
    nats_account: str = "PUBLISHERS"  # the account that publishers are admitted to
    nats_system_user: str = ""  # a user of the system account, to cut off revoked publishers at once
    nats_system_password: SecretStr = SecretStr("")
    token_seconds: int = Field(default=600, ge=30, le=600)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        ZoneInfo(name)
        return name

    @cached_property
    def zone(self) -> ZoneInfo:
        """The centre's time zone: local days are days of it."""
        return ZoneInfo(self.timezone)


def load(service: str | None = None) -> Settings:
    """Return the settings of this process; `service` overrides OPSLEDGER_SERVICE."""
    return Settings(service=service) if service is not None else Settings()
