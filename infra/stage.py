"""A stage of ``.chalice/config.json``, as the deploy code sees it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chalice.config import Config

from chalicelib.config import PREFIX, Settings

CONFIG = Path(".chalice") / "config.json"


class ConfigurationError(ValueError):
    """The project's config.json cannot be used. The message names the file and says why."""


class UnknownStage(ConfigurationError):
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
            ConfigurationError: The configuration is not there, or not right.
            UnknownStage: The stage is not there.
        """
        config = read_config(project / CONFIG)
        if name not in config["stages"]:
            raise UnknownStage(f"there is no stage {name!r}; there are {', '.join(config['stages'])}")
        chalice = Config(chalice_stage=name, config_from_disk=config)
        environment = chalice.environment_variables
        for variable, value in environment.items():
            if not isinstance(value, str):
                raise ConfigurationError(f"{CONFIG}: {variable} of the stage {name} must be a string")
        return cls(name, chalice.app_name, environment)

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
        """The tables' names, by their variables: ``CHAT_ROOMS_TABLE`` and so on.

        Those that the configuration leaves out have the names that the app and resources.json give them.
        """
        names = {
            PREFIX + field.name.upper(): str(field.default)
            for field in fields(Settings)
            if field.name.endswith("table")
        }
        return {name: self.environment.get(name, value) for name, value in names.items()}

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of resources.json; ``CHAT_ROOMS_TABLE`` is ``ChatRoomsTable`` there."""
        named = {
            name.title().replace("_", ""): value
            for name, value in self.environment.items()
            if name.endswith(("_TABLE", "_QUEUE"))
        }
        return {"StageName": self.name, **named}


def read_config(path: Path) -> dict[str, Any]:
    """Read a config.json.

    Raises:
        ConfigurationError: It is not there, is no JSON, or has no stages.
    """
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}, line {error.lineno}: {error.msg}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    stages = config.get("stages") if isinstance(config, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise ConfigurationError(f"{path}: stages must be an object with an object for each stage")
    return config
