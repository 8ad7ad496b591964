"""Runs Chalice Chat on a local AWS, and deploys each saved change: ``python -m local``."""

import argparse
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.stack import StackError
from infra.stage import ConfigurationError
from infra.template import PackageError

from .account import environment
from .deployment import LocalDeployment
from .emulator import Emulator, EmulatorFailed, PortTaken, next_free
from .issuer import READY_NAME, Issuer
from .page import Page
from .sources import Sources
from .workspace import AlreadyRunning, Workspace

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 4566
ENDINGS = (signal.SIGINT, signal.SIGTERM)

# Why something cannot be deployed: the app, the configuration, files that cannot be read, the local AWS.
NOT_DEPLOYED = (PackageError, StackError, ConfigurationError, OSError, ClientError, BotoCoreError)

# Between two looks at the files, in s.
LOOK = 0.2

BANNER = """
Chalice Chat is up at {url}

Its page, for a browser or two:
  {page}

In two or more other terminals:
  {wscat} -c {url}{header}
and there, for example:
  {{"action": "onMessage", "message": "Hello everyone"}}

A saved change is live at once. Ctrl-C ends it all.
"""


READY = """\
The token of {name}:
  {token}
Another one: make token NAME=bob TTL=3600
"""


def main() -> None:
    """Start, deploy, and watch, until told to end."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the local AWS (%(default)s)")
    parser.add_argument("--page-port", type=int, help="port of the page (the next free one)")
    parser.add_argument("--auth", choices=("none", "jwt"), default="none", help="jwt: with tokens of its own")
    arguments = parser.parse_args()
    port = arguments.port
    for ending in ENDINGS:
        signal.signal(ending, interrupt)
    mine = environment(os.environ)
    os.environ.clear()
    os.environ.update(mine)
    try:
        with Workspace(PROJECT) as workspace:
            say(f"Starting a local AWS on port {port} ...")
            with Emulator(port, workspace.emulator) as emulator:
                run(workspace, emulator, arguments.page_port, tokens=arguments.auth == "jwt")
    except (AlreadyRunning, PortTaken, EmulatorFailed, *NOT_DEPLOYED) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        say("Ended.")


def run(workspace: Workspace, emulator: Emulator, page_port: int | None, tokens: bool) -> NoReturn:
    """Deploy, serve the page, and deploy again at each change."""
    os.environ["AWS_ENDPOINT_URL"] = emulator.url
    sources = Sources(PROJECT)
    issuer = Issuer(boto3.client("ssm")) if tokens else None
    if issuer:
        issuer.make_secret()
    deployment = LocalDeployment(sources, workspace, emulator.url, issuer)
    sources.changes()
    say("Packaging and deploying ...")
    endpoints = deployment.deploy()
    token = endpoints.get("token")
    config = partial(page_config, workspace)
    with Page(PROJECT / "web", config, page_port or next_free(emulator.port)) as page:
        say(
            BANNER.format(
                url=endpoints["websocketUrl"],
                page=page.url,
                wscat=wscat(),
                header=f' -H "Authorization: Bearer {token}"' if token else "",
            )
        )
        if token:
            say(READY.format(name=READY_NAME, token=token))
        while True:
            time.sleep(LOOK)
            emulator.check()
            if changes := sources.changes():
                say(f"Changed: {', '.join(changes)}; deploying ...")
                redeploy(deployment)


def page_config(workspace: Workspace) -> dict[str, Any]:
    """What the page needs to know of the chat."""
    endpoints = workspace.published()
    return {name: endpoints[name] for name in ("websocketUrl", "token") if name in endpoints}


def redeploy(deployment: LocalDeployment) -> None:
    """Deploy a change; where it cannot be, show why and leave what runs as it is."""
    started = time.monotonic()
    try:
        deployment.deploy()
    except NOT_DEPLOYED as error:
        say(f"{error}\nNot deployed: the version before runs on.")
    else:
        say(f"Live after {time.monotonic() - started:.1f} s.")


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End, out through the context managers; a second signal must not stop them."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt


def wscat() -> str:
    """How to call wscat here."""
    installed = Path("node_modules/.bin/wscat")
    return str(installed) if (PROJECT / installed).exists() else "npx wscat"


def say(text: str) -> None:
    """Print at once, also where the output is no terminal."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
