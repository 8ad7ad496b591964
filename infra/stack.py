"""A CloudFormation stack: made, changed and deleted, and waited for."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

# Between two looks at a stack, in s: the emulator is done within one, AWS in minutes.
FIRST_DELAY = 0.1
LONGEST_DELAY = 3.0

# What SAM's transform and roles without names of our own ask for.
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


class StackError(Exception):
    """CloudFormation could not do it; the message has the events that say why."""


class Stack:
    """One stack, there or not.

    Args:
        session: boto3's, with the account and the region.
        name: Name of the stack.
    """

    def __init__(self, session: Any, name: str) -> None:
        self._cloudformation = session.client("cloudformation")
        self._dynamodb = session.client("dynamodb")
        self.name = name

    @property
    def exists(self) -> bool:
        """Whether the stack is there, in whatever state."""
        return self._describe() is not None

    def deploy(self, template: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """Make the stack what the template says, and wait until it is.

        Args:
            template: The template's text.
            parameters: Its parameters.

        Returns:
            The stack's outputs.

        Raises:
            StackError: CloudFormation failed, and has rolled back.
        """
        stack = self._describe()
        if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            # What is left of a first deployment that failed: it can only be deleted.
            self.delete()
            stack = None
        since = datetime.now(UTC)
        change = {
            "StackName": self.name,
            "TemplateBody": template,
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            "Capabilities": CAPABILITIES,
        }
        try:
            if stack is None:
                self._cloudformation.create_stack(**change)
            else:
                self._cloudformation.update_stack(**change)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise StackError(error.response["Error"]["Message"]) from error
        for stack in self._states():
            if stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
        raise StackError(self._report(since))

    def delete(self) -> None:
        """Delete the stack with all that is in it, and wait until it is gone.

        Raises:
            StackError: A table is protected from deletion, and nothing was deleted; or
                CloudFormation failed.
        """
        if protected := sorted(self._protected_tables()):
            raise StackError(
                f"{self.name} was not deleted: {', '.join(protected)} are protected from deletion. To "
                "lose their data for good, turn the protection of each off first: aws dynamodb "
                "update-table --no-deletion-protection-enabled --table-name <table>"
            )
        since = datetime.now(UTC)
        self._cloudformation.delete_stack(StackName=self.name)
        if any(stack["StackStatus"] == "DELETE_FAILED" for stack in self._states()):
            raise StackError(self._report(since))

    def _describe(self) -> dict[str, Any] | None:
        try:
            stack: dict[str, Any] = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack

    def _states(self) -> Iterator[dict[str, Any]]:
        """Watch the stack until it has come to rest, or is gone."""
        delay = FIRST_DELAY
        while stack := self._describe():
            yield stack
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return
            time.sleep(delay)
            delay = min(delay * 1.3, LONGEST_DELAY)

    def _resources(self) -> Iterator[dict[str, Any]]:
        for page in self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name):
            yield from page["StackResourceSummaries"]

    def _protected_tables(self) -> Iterator[str]:
        # Asked first: CloudFormation would find it out with half of the stack deleted.
        for resource in self._resources():
            if resource["ResourceType"] != "AWS::DynamoDB::Table" or "PhysicalResourceId" not in resource:
                continue
            name = resource["PhysicalResourceId"]
            try:
                table = self._dynamodb.describe_table(TableName=name)["Table"]
            except self._dynamodb.exceptions.ResourceNotFoundException:
                continue
            if table.get("DeletionProtectionEnabled"):
                yield name

    def _report(self, since: datetime) -> str:
        """Tell which resources failed since then and why, the first one first."""
        events = self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        lines = [f"{self.name} failed:"]
        for event in reversed(events):
            if event["Timestamp"] >= since and event["ResourceStatus"].endswith("_FAILED"):
                reason = event.get("ResourceStatusReason", "for no reason given")
                lines.append(f"  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}")
        return "\n".join(lines)
