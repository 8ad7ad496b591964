"""A stage of ``.chalice/config.json``, as the deploy code sees it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chalice.config import Config


class UnknownStage(ValueError):
    """The project's config.json has no such stage. The message lists those that it has."""


@dataclass(frozen=True)
class Stage:
    """What a deployment is named after.

    Attributes:
        name: Name of the Chalice stage; also of the API's stage, which is in the URL.
        app: Name of the app.
        environment: The handlers' environment variables.
    """

    name: str
    app: str
    environment: Mapping[str, str]

    @classmethod
    def load(cls, project: Path, name: str) -> "Stage":
        """Read a stage of the project's configuration, with Chalice's rules of precedence.

        Raises:
            UnknownStage: It is not there.
        """
        config = json.loads((project / ".chalice" / "config.json").read_text())
        if name not in config["stages"]:
            raise UnknownStage(f"there is no stage {name!r}; there are {', '.join(config['stages'])}")
        chalice = Config(chalice_stage=name, config_from_disk=config)
        return cls(name, chalice.app_name, chalice.environment_variables)

    @property
    def stack(self) -> str:
        """Name of the CloudFormation stack that holds everything."""
        return f"{self.app}-{self.name}"

    @property
    def tables_stack(self) -> str:
        """Name of the stack that holds the tables alone, beside a plain ``chalice deploy``."""
        return f"{self.stack}-tables"

    @property
    def tables(self) -> dict[str, str]:
        """The tables' names, by their variables: ``CHAT_ROOMS_TABLE`` and so on."""
        return {name: value for name, value in self.environment.items() if name.endswith("_TABLE")}

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of resources.json; ``CHAT_ROOMS_TABLE`` is ``ChatRoomsTable`` there."""
        named = {
            name.title().replace("_", ""): value
            for name, value in self.environment.items()
            if name.endswith(("_TABLE", "_QUEUE"))
        }
        return {"StageName": self.name, **named}
