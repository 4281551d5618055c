"""What an operator sets for SMS."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from engine.channels.http.settings import BaseUrl, Connection, RequestCredentials, RequestSettings, http_url
from engine.kernel.phone_numbers import Region  # noqa: TC001 - pydantic reads it

__all__ = ["SmsCredentials", "SmsSettings"]

_GATEWAY = ("request", "check_url")
_TWILIO = ("account_sid", "sender", "messaging_service_sid", "status_callback")
_GATEWAY_CREDENTIALS = ("headers", "bearer", "username", "password", "secrets")
_TWILIO_CREDENTIALS = ("auth_token", "api_key", "api_secret")


class SmsSettings(Connection):
    """The `settings` of a channel of kind `sms`."""

    model_config = ConfigDict(
        coerce_numbers_to_str=True
    )  # a short code is digits: a number to a command line

    provider: Literal["gateway", "twilio"]
    region: Region | None = None
    """Where numbers without a country code are from."""
    address: str | None = None
    """Where an entity keeps its number; absent: any usual name, such as `phone` or `Mobile number`."""
    max_segments: int = Field(default=6, ge=1, le=20)
    """SMS that one message may cost; a longer one is refused. Twilio takes 1,600 characters."""

    request: RequestSettings | None = None
    """Of a gateway: the request that sends one message. Templates see `{{ message.address }}`, `{{ message.text }}`."""
    check_url: Annotated[str, AfterValidator(http_url)] | None = None
    """Of a gateway: what a test GETs."""

    account_sid: Annotated[str, Field(pattern=r"^AC[0-9a-fA-F]{32}$")] | None = None
    sender: Annotated[str, Field(pattern=r"^(\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11})$")] | None = None
    """Of Twilio: the number or name that sends (From), or a messaging service."""
    messaging_service_sid: Annotated[str, Field(pattern=r"^MG[0-9a-fA-F]{32}$")] | None = None
    status_callback: Annotated[str, AfterValidator(http_url)] | None = None
    """Where Twilio reports what became of a message; gets `execution_id` in its query."""
    base_url: BaseUrl = "https://api.twilio.com"

    @model_validator(mode="after")
    def _one_provider(self) -> Self:
        others = _TWILIO if self.provider == "gateway" else _GATEWAY
        for name in others:
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: is not an option of {self.provider}")
        if self.provider == "gateway" and self.request is None:
            raise ValueError("request: a gateway needs it")
        if self.provider == "twilio":
            if self.account_sid is None:
                raise ValueError("account_sid: Twilio needs it")
            if (self.sender is None) == (self.messaging_service_sid is None):
                raise ValueError("sender: either it or messaging_service_sid")
        return self

    def reaches(self) -> dict[str, str | None]:
        """The URLs that its provider is reached at, by the setting that says them."""
        if self.request is None:
            return {"base_url": self.base_url}
        return {"request.url": self.request.url, "check_url": self.check_url}


class SmsCredentials(RequestCredentials):
    """The `credentials` of a channel of kind `sms`: a gateway's are those of any request."""

    auth_token: SecretStr | None = None
    """Of Twilio: the account's."""
    api_key: str | None = None
    """Of Twilio: a key's SID, with `api_secret`, instead of the account's token."""
    api_secret: SecretStr | None = None

    def check(self, provider: str) -> None:
        """Raise ValueError when these are no credentials of that provider; names the field."""
        others = _TWILIO_CREDENTIALS if provider == "gateway" else _GATEWAY_CREDENTIALS
        for name in others:
            if getattr(self, name):
                raise ValueError(f"credentials.{name}: is not an option of {provider}")
        if provider == "twilio":
            if (self.api_key is None) != (self.api_secret is None):
                raise ValueError("credentials.api_key: goes together with api_secret")
            if (self.auth_token is None) == (self.api_secret is None):
                raise ValueError("credentials.auth_token: either it, or api_key and api_secret")
