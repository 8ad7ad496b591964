"""What a batch of SQS may be put by, in MiniStack as on AWS."""

from typing import Any

from ministack.core import iam_actions  # type: ignore[import-untyped]


def permit_batches_as_single_messages() -> None:
    """Ask for ``sqs:SendMessage`` where a batch is put; what MiniStack asks for, AWS does not have.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
    """
    original = iam_actions.extract_iam_action

    def extract(*request: Any) -> str | None:
        action: str | None = original(*request)
        return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action

    iam_actions.extract_iam_action = extract
