"""The states that a stack of CloudFormation can be in, most of which no emulator shows."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.stack import Stack, StackError


def refused(message: str, code: str = "ValidationError") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class CloudFormation:
    """Describes a stack by the states that it goes through.

    Attributes:
        done: What was asked for, in order.
    """

    def __init__(self, *states: str, update: ClientError | None = None, delete: ClientError | None = None):
        self.done: list[str] = []
        self._states = list(states)
        self._update = update
        self._delete = delete

    def client(self, service: str) -> Any:
        return self if service == "cloudformation" else SimpleNamespace()

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if not self._states:
            raise refused(f"Stack with id {StackName} does not exist")
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        outputs = [{"OutputKey": "Url", "OutputValue": "wss://x"}]
        stack = {"StackStatus": state, "StackStatusReason": "because", "Outputs": outputs}
        return {"Stacks": [stack]}

    def create_stack(self, **change: Any) -> None:
        self.done.append("create")

    def update_stack(self, **change: Any) -> None:
        self.done.append("update")
        if self._update:
            raise self._update

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        self.done.append("delete")
        if self._delete:
            raise self._delete
        self._states = []

    def describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if not self._states:
            raise refused("Stack does not exist")
        event = {
            "Timestamp": datetime.now(UTC),
            "ResourceStatus": "UPDATE_FAILED",
            "LogicalResourceId": "Chat",
            "ResourceType": "AWS::DynamoDB::Table",
            "ResourceStatusReason": "too small",
        }
        return {"StackEvents": [event] if "ROLLBACK" in self._states[-1] else []}

    def get_paginator(self, name: str) -> Any:
        return SimpleNamespace(paginate=lambda **stack: [{"StackResourceSummaries": []}])


def deployed(cloudformation: CloudFormation) -> dict[str, str]:
    return Stack(cloudformation, "chat-dev").deploy("{}", {})


NO_UPDATES = refused("No updates are to be performed.")


@pytest.mark.parametrize(
    "state", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"]
)
def test_where_nothing_is_to_be_changed_all_is_well(state: str) -> None:
    cloudformation = CloudFormation(state, update=NO_UPDATES)
    assert deployed(cloudformation) == {"Url": "wss://x"}
    assert cloudformation.done == ["update"]


@pytest.mark.parametrize(
    "state", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED"]
)
def test_what_can_be_changed_is(state: str) -> None:
    states = (state, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
    assert deployed(CloudFormation(*states)) == {"Url": "wss://x"}


def test_a_change_that_is_rolled_back_tells_why() -> None:
    with pytest.raises(StackError, match=r"Chat \(AWS::DynamoDB::Table\): too small"):
        deployed(CloudFormation("CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"))


def test_without_events_the_state_tells() -> None:
    with pytest.raises(StackError, match="it is UPDATE_FAILED: because"):
        deployed(CloudFormation("CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_FAILED"))


def test_what_is_left_of_a_first_try_is_made_anew() -> None:
    cloudformation = CloudFormation("ROLLBACK_COMPLETE")
    with pytest.raises(StackError):
        # In this account nothing comes of it.
        deployed(cloudformation)
    assert cloudformation.done == ["delete", "create"]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("CREATE_IN_PROGRESS", "another deployment"),
        ("UPDATE_IN_PROGRESS", "another deployment"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "another deployment"),
        ("DELETE_IN_PROGRESS", "another deployment"),
        ("REVIEW_IN_PROGRESS", "delete-stack --stack-name chat-dev"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name chat-dev"),
        ("CREATE_FAILED", "can only be deleted"),
        ("ROLLBACK_FAILED", "can only be deleted"),
        ("DELETE_FAILED", "can only be deleted"),
    ],
)
def test_what_cannot_be_changed_says_what_to_do(state: str, says: str) -> None:
    cloudformation = CloudFormation(state)
    with pytest.raises(StackError, match=f"{state}.*{says}|{says}.*{state}"):
        deployed(cloudformation)
    assert cloudformation.done == []


def test_refusals_are_told_as_they_are() -> None:
    denied = refused("User is not authorized to perform: cloudformation:UpdateStack", "AccessDenied")
    with pytest.raises(StackError, match="not authorized to perform: cloudformation:UpdateStack"):
        deployed(CloudFormation("CREATE_COMPLETE", update=denied))
    protected = refused("Stack [chat-dev] cannot be deleted while TerminationProtection is enabled")
    with pytest.raises(StackError, match="TerminationProtection is enabled"):
        Stack(CloudFormation("CREATE_COMPLETE", delete=protected), "chat-dev").delete()


def test_one_that_is_being_changed_is_not_deleted() -> None:
    cloudformation = CloudFormation("UPDATE_IN_PROGRESS")
    with pytest.raises(StackError, match="another deployment"):
        Stack(cloudformation, "chat-dev").delete()
    assert cloudformation.done == []
