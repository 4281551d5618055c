"""The API's world, for what `/metrics` shows."""

from tests.api.conftest import *  # noqa: F403
