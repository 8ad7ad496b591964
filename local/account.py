"""The account of the local AWS: its dummy credentials, and none of the user's own."""

import os
from collections.abc import Mapping

REGION = "us-east-1"
HOST = "127.0.0.1"

# The user's profile, endpoint and settings stay out: nothing here may reach AWS by mistake.
FOREIGN_PREFIXES = ("AWS_", "CHAT_", "POWERTOOLS_")


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """Make an environment with this account's credentials out of one with the user's."""
    return {
        **{name: value for name, value in env.items() if not name.startswith(FOREIGN_PREFIXES)},
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }
