"""Prints a token for a running ``make up AUTH=jwt``: ``python -m local.token``."""

import argparse
import json
import os
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.wire.fields import Name

from .account import environment
from .issuer import READY_NAME, READY_SECONDS, Issuer
from .workspace import ENDPOINTS

PROJECT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Sign, and print."""
    parser = argparse.ArgumentParser(prog="python -m local.token", description=__doc__)
    parser.add_argument("--name", default=READY_NAME, help="who it is for (%(default)s)")
    parser.add_argument("--ttl", type=int, default=READY_SECONDS, help="seconds that it is good for")
    arguments = parser.parse_args()
    if Name.clean(arguments.name) != arguments.name:
        sys.exit(f"a name {Name.rule}")
    os.environ.update(environment(os.environ))
    try:
        endpoint = json.loads((PROJECT / ENDPOINTS).read_text())["awsEndpointUrl"]
        print(Issuer(boto3.client("ssm", endpoint_url=endpoint)).token(arguments.name, arguments.ttl))
    except (FileNotFoundError, ClientError, BotoCoreError):
        sys.exit("there is no secret: is `make up AUTH=jwt` running here?")


if __name__ == "__main__":
    main()
