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
            StackError: CloudFormation failed, and has rolled back; or it cannot change the stack as it is.
        """
        stack = self._describe()
        if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            # What is left of a first deployment that failed: it can only be deleted.
            self.delete()
            stack = None
        if stack is not None and (hindrance := hindrance_of(stack["StackStatus"], self.name)):
            raise StackError(hindrance)
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
            # Whatever was tried last, and rolled back: this is what is there.
            return outputs_of(stack or {})
        for stack in self._states():
            if stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return outputs_of(stack)
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
        stack = self._describe()
        if (
            stack is not None
            and stack["StackStatus"].endswith("_IN_PROGRESS")
            and (hindrance := hindrance_of(stack["StackStatus"], self.name))
        ):
            raise StackError(hindrance)
        since = datetime.now(UTC)
        try:
            self._cloudformation.delete_stack(StackName=self.name)
        except ClientError as error:
            # It is protected from that, say, or this user may not.
            raise StackError(error.response["Error"]["Message"]) from error
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
        try:
            events = self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        except ClientError as error:
            return f"{self.name} is gone, somebody else has deleted it: {error.response['Error']['Message']}"
        lines = [f"{self.name} failed:"]
        for event in reversed(events):
            if event["Timestamp"] >= since and event["ResourceStatus"].endswith("_FAILED"):
                reason = event.get("ResourceStatusReason", "for no reason given")
                lines.append(f"  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}")
        if len(lines) == 1:
            stack = self._describe() or {}
            reason = stack.get("StackStatusReason", "for no reason given")
            lines.append(f"  it is {stack.get('StackStatus', 'gone')}: {reason}")
        return "\n".join(lines)


def hindrance_of(status: str, name: str) -> str | None:
    """Why a stack in a state cannot be changed, and what to do; None where it can be."""
    if status == "REVIEW_IN_PROGRESS":
        return (
            f"{name} is a change set that nobody has executed ({status}). Execute it, or delete the stack:"
            f" aws cloudformation delete-stack --stack-name {name}"
        )
    if status.endswith("_IN_PROGRESS"):
        return f"{name} is being changed by another deployment ({status}). Try again when that is over."
    if status == "UPDATE_ROLLBACK_FAILED":
        return (
            f"{name} could not be rolled back ({status}). Put right what its events tell, and then: aws"
            f" cloudformation continue-update-rollback --stack-name {name}"
        )
    if status in ("CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"):
        return (
            f"{name} can only be deleted ({status}); its events tell why. Tables that are to be kept can be"
            f" left out of it: aws cloudformation delete-stack --stack-name {name} --retain-resources ..."
        )
    return None


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of a stack, as CloudFormation describes it."""
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
