"""What is done with a stage: deployed, its tables alone deployed, destroyed."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .artifacts import Artifacts
from .stack import Stack
from .stage import Stage
from .template import Package


def deploy(
    session: Any, stage: Stage, package: Package, parameters: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Deploy everything in one stack, with the stage's parameters and some more.

    Returns:
        The stack's outputs; Chalice's own, such as ``WebsocketConnectEndpointURL``, among them.

    Raises:
        StackError: CloudFormation failed, and has rolled back.
    """
    code = Artifacts(session, stage.stack).upload(package.code)
    for resource in package.template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = code
    stack = Stack(session, stage.stack)
    return stack.deploy(json.dumps(package.template), {**stage.parameters, **parameters})


def deploy_tables(session: Any, stage: Stage, resources: Path) -> None:
    """Deploy the tables and queues in a stack of their own, for a plain ``chalice deploy`` to use.

    Raises:
        StackError: CloudFormation failed, and has rolled back.
    """
    Stack(session, stage.tables_stack).deploy(resources.read_text(), stage.parameters)


def destroy(session: Any, stage: Stage) -> list[str]:
    """Delete the stage's stacks, and the bucket of its code.

    Returns:
        The stacks that were there.

    Raises:
        StackError: A stack could not be deleted.
    """
    stacks = [Stack(session, name) for name in (stage.stack, stage.tables_stack)]
    there = [stack for stack in stacks if stack.exists]
    for stack in there:
        stack.delete()
    Artifacts(session, stage.stack).delete()
    return [stack.name for stack in there]
