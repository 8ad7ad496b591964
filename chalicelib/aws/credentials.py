"""Who asks AWS, and in which region: as Lambda's environment says, or as botocore finds out.

botocore, which takes longer to import than all the rest of the chat, is imported only where the environment
does not say it: on the machine of somebody with a profile, or after a restore from a snapshot.
"""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from .errors import NoCredentialsError, NoRegionError


class Credentials(Protocol):
    """What botocore calls frozen credentials."""

    @property
    def access_key(self) -> str:
        """The id of the key."""

    @property
    def secret_key(self) -> str:
        """The key."""

    @property
    def token(self) -> str | None:
        """The session's token, where the key is a temporary one."""


@dataclass(frozen=True)
class Keys:
    """Credentials of the environment."""

    access_key: str
    secret_key: str
    token: str | None = None


def credentials() -> Credentials:
    """Find the credentials; asked for each request, since they change under a process that runs on.

    Raises:
        NoCredentialsError: There are none.
    """
    get = os.environ.get
    access_key, secret_key = get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret_key:
        return Keys(access_key, secret_key, get("AWS_SESSION_TOKEN") or None)
    found = _session().get_credentials()
    if found is None:
        raise NoCredentialsError
    frozen: Credentials = found.get_frozen_credentials()
    return frozen


def region() -> str:
    """Find the region.

    Raises:
        NoRegionError: There is none.
    """
    get = os.environ.get
    found = get("AWS_REGION") or get("AWS_DEFAULT_REGION") or _session().get_config_variable("region")
    if not found:
        raise NoRegionError
    return str(found)


@cache
def _session() -> Any:
    from botocore.session import Session

    return Session()
