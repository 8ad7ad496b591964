"""Deploys Chalice Chat with CloudFormation: ``python -m infra deploy --stage dev``."""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .bytecode import add_bytecode
from .deployment import deploy, deploy_tables, destroy
from .stack import StackError
from .stage import ConfigurationError, Stage
from .template import TEMPLATE_FILE, PackageError, package

PROJECT = Path(__file__).resolve().parent.parent
RESOURCES = PROJECT / "resources.json"


def main() -> None:
    """Run one command, with the credentials and the region of the environment."""
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("deploy", "everything, in one stack; prints the URL"),
        ("tables", "the tables and queues alone, for `chalice deploy`"),
        ("destroy", "delete what the other two have made, data included"),
        ("package", "only write the template and the code to a folder"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--stage", required=True, help="a stage of .chalice/config.json")
        if name in ("deploy", "package"):
            command.add_argument(
                "--authorizer",
                metavar="HEADER",
                default="",
                help="put a Lambda authorizer before $connect; handshakes without this header get 401",
            )
        if name == "package":
            command.add_argument("--out", type=Path, required=True, help="the folder")
    arguments = parser.parse_args()
    try:
        run(arguments)
    except (ConfigurationError, PackageError, StackError, ClientError, BotoCoreError, OSError) as error:
        sys.exit(f"{arguments.command} of {arguments.stage} failed: {error}")


def run(arguments: argparse.Namespace) -> None:
    """Do what the arguments say."""
    stage = Stage.load(PROJECT, arguments.stage)
    session = boto3.Session()
    match arguments.command:
        case "deploy":
            if arguments.authorizer and stage.environment.get("CHAT_AUTH") != "jwt":
                raise PackageError(
                    "an authorizer would let all in: set CHAT_AUTH=jwt in .chalice/config.json"
                )
            with TemporaryDirectory() as out:
                print(f"Packaging {stage.stack} ...", flush=True)
                packed = package(PROJECT, stage.name, Path(out), bool(arguments.authorizer))
                add_bytecode(packed.code)
                print(f"Deploying {stage.stack} ...", flush=True)
                header = {"TokenHeader": arguments.authorizer} if arguments.authorizer else {}
                outputs = deploy(session, stage, packed, header)
            print(outputs["WebsocketConnectEndpointURL"])
        case "tables":
            deploy_tables(session, stage, RESOURCES)
            print(f"{stage.tables_stack} is there; next: chalice deploy --stage {stage.name}")
        case "destroy":
            gone = destroy(session, stage)
            print(f"Deleted {', '.join(gone)}" if gone else f"There is no {stage.stack}")
        case "package":
            packed = package(PROJECT, stage.name, arguments.out, bool(arguments.authorizer))
            add_bytecode(packed.code)
            (arguments.out / TEMPLATE_FILE).write_text(json.dumps(packed.template, indent=2))


if __name__ == "__main__":
    main()
