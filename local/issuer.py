"""Who signs the tokens of the local AWS, where ``make up AUTH=jwt`` asks for them.

The secret is made up at each start, and kept in the emulator's SSM Parameter Store alone.
"""

import secrets
import time
from typing import Any

import jwt

from .account import REGION

ISSUER = "make up"
AUDIENCE = "chalice-chat"
PARAMETER = "/chalice-chat/local/jwt-secret"
ACCOUNT = "000000000000"
ARN = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{PARAMETER}"

# Of the token that is ready when all is up.
READY_NAME = "alice"
READY_SECONDS = 24 * 60 * 60


class Issuer:
    """Signs tokens.

    Args:
        ssm: boto3's client of the emulator's SSM.
    """

    def __init__(self, ssm: Any) -> None:
        self._ssm = ssm

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a chat that takes these tokens."""
        return {
            "CHAT_AUTH": "jwt",
            "CHAT_JWT_SECRET_ARN": ARN,
            "CHAT_JWT_ISSUER": ISSUER,
            "CHAT_JWT_AUDIENCE": AUDIENCE,
        }

    def make_secret(self) -> None:
        """Make a secret up."""
        self._ssm.put_parameter(
            Name=PARAMETER, Value=secrets.token_urlsafe(48), Type="SecureString", Overwrite=True
        )

    def token(self, name: str, seconds: int) -> str:
        """Sign a token for a name, good for so long.

        Raises:
            ParameterNotFound: There is no secret.
        """
        secret = self._ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"]
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": name, "iat": now, "exp": now + seconds}
        return jwt.encode(claims, secret, algorithm="HS256")
