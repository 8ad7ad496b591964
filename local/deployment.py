"""The stage ``local``, deployed to the emulator by the code that deploys to AWS."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from infra.deployment import deploy
from infra.stage import Stage, read_config
from infra.template import package

from .account import REGION
from .issuer import READY_NAME, READY_SECONDS, Issuer
from .sources import Sources
from .workspace import Workspace

STAGE = "local"


class LocalDeployment:
    """Deploys the sources as they are, and says where to find them.

    Args:
        sources: The project's files.
        workspace: Where they are packaged, and the endpoints written.
        emulator_url: Where the emulator is; the environment has its credentials.
        issuer: Who signs the tokens; None where the project's own settings count.
    """

    def __init__(
        self, sources: Sources, workspace: Workspace, emulator_url: str, issuer: Issuer | None = None
    ) -> None:
        self._sources = sources
        self._workspace = workspace
        self._url = emulator_url
        self._issuer = issuer
        self._session = boto3.Session()

    def deploy(self) -> dict[str, Any]:
        """Deploy once; what was there before runs on until it is done, or when it fails.

        Returns:
            The endpoints: ``websocketUrl`` and so on, and ``token`` where one is needed.

        Raises:
            PackageError: The app does not import.
            StackError: The emulator did not take it.
            ConfigurationError: config.json is not right, or has lost the stage.
        """
        build = self._workspace.build
        self._sources.copy_to(build)
        if self._issuer:
            configure(build / ".chalice" / "config.json", self._issuer.environment)
        # First: of a configuration that is wrong, Chalice shows a traceback.
        stage = Stage.load(build, STAGE)
        packed = package(build, STAGE, build / "package")
        outputs = deploy(self._session, stage, packed)
        self._turn_on_expiry(stage)
        endpoints = self._endpoints(stage, outputs["WebsocketAPIId"])
        if self._issuer:
            endpoints["token"] = self._issuer.token(READY_NAME, READY_SECONDS)
        self._workspace.publish(endpoints)
        return endpoints

    def _turn_on_expiry(self, stage: Stage) -> None:
        # MiniStack's CloudFormation leaves TimeToLiveSpecification out.
        dynamodb = self._session.client("dynamodb")
        for table in stage.tables.values():
            expiry = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
            if expiry["TimeToLiveStatus"] == "DISABLED":
                dynamodb.update_time_to_live(
                    TableName=table, TimeToLiveSpecification={"AttributeName": "expiresAt", "Enabled": True}
                )

    def _endpoints(self, stage: Stage, api: str) -> dict[str, Any]:
        path = f"/_aws/execute-api/{api}/{stage.name}"
        return {
            "websocketUrl": f"ws{self._url.removeprefix('http')}{path}",
            "callbackUrl": f"{self._url}{path}",
            "awsEndpointUrl": self._url,
            "region": REGION,
            "apiId": api,
            "stage": stage.name,
            "tables": {
                "connections": stage.tables["CHAT_TABLE"],
                "rooms": stage.tables["CHAT_ROOMS_TABLE"],
                "messages": stage.tables["CHAT_MESSAGES_TABLE"],
            },
        }


def configure(config: Path, variables: Mapping[str, str]) -> None:
    """Set variables of the stage in a copy of config.json.

    Raises:
        ConfigurationError: It is not right.
    """
    content = read_config(config)
    if STAGE in content["stages"]:
        content["stages"][STAGE].setdefault("environment_variables", {}).update(variables)
    config.write_text(json.dumps(content))
