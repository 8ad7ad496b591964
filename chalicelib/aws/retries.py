"""Trying again: what for, how often, and after how long.

As boto3's standard mode does, by the AWS SDKs' and Tools' reference guide:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

import random
import threading
import time
from collections.abc import Callable

from .errors import ClientError, ConnectTimeoutError, ParamValidationError, ReadTimeoutError, RequestError

# Codes of botocore's standard mode, and those that DynamoDB's and SQS's models mark as such.
THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "KmsThrottled",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
TRANSIENT = frozenset({"InternalError", "InternalServerError", "RequestTimeout", "RequestTimeoutException"})
TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})

# The longest first delay, doubled with each try, up to a limit; in s.
FAILURE_DELAY = 0.05
THROTTLE_DELAY = 1.0
LONGEST_DELAY = 20.0

# A bucket of retries, so that an outage is not met by several times the requests: what a retry costs, and
# what each request gives back that needed none.
QUOTA = 500
RETRY_COST = 5
TIMEOUT_COST = 10
GIVEN_BACK = 1

# For what AWS does not do, or not yet, though it has answered.
PAUSE = 0.05


class Retries:
    """Says whether and when requests of one client are tried again. Threads may share it.

    Args:
        most_tries: Of one request, the first one among them.
        failure_delay: The longest delay after a first try that was lost, in s.
        chance: From 0 to 1.
    """

    def __init__(
        self,
        most_tries: int,
        failure_delay: float = FAILURE_DELAY,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._most_tries = most_tries
        self._failure_delay = failure_delay
        self._chance = chance
        self._lock = threading.Lock()
        self._quota = QUOTA

    def delay(self, error: ClientError | RequestError, tries: int) -> float | None:
        """Take a retry; the delay before it in s, or None where there is to be none.

        Args:
            error: How the last try has failed.
            tries: How many there have been.
        """
        scale = self._scale(error)
        if scale is None or tries >= self._most_tries or not self._acquire(cost(error)):
            return None
        return self._chance() * min(LONGEST_DELAY, scale * 2.0 ** (tries - 1))

    def succeeded(self, paid: int) -> None:
        """Give back what the last retry of a request took that has succeeded; a little where it took none."""
        if self._quota < QUOTA:
            with self._lock:
                self._quota = min(QUOTA, self._quota + (paid or GIVEN_BACK))

    def _acquire(self, amount: int) -> bool:
        with self._lock:
            if amount > self._quota:
                return False
            self._quota -= amount
            return True

    def _scale(self, error: ClientError | RequestError) -> float | None:
        """The longest delay after a first try that failed so; None for what would fail again."""
        if isinstance(error, ClientError):
            code = error.response["Error"]["Code"]
            if code in THROTTLES:
                return THROTTLE_DELAY
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return self._failure_delay if code in TRANSIENT or status in TRANSIENT_STATUSES else None
        return None if isinstance(error, ParamValidationError) else self._failure_delay


def cost(error: ClientError | RequestError) -> int:
    """What a retry after such a failure takes of the quota."""
    return TIMEOUT_COST if isinstance(error, ReadTimeoutError | ConnectTimeoutError) else RETRY_COST


def pause(attempt: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait before trying again: full jitter, up to 50 ms doubled with each attempt."""
    sleep(random.uniform(0, PAUSE * 2 ** (attempt - 1)))
