"""Where AWS's services are, by the region's partition, or where the environment says that they are."""

import os

# https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html, and
# botocore's data/partitions.json.
_SUFFIXES = (
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov"),
)
_SUFFIX = "amazonaws.com"


def suffix_of(region: str) -> str:
    """The domain that AWS's hosts in a region are of."""
    return next((suffix for prefix, suffix in _SUFFIXES if region.startswith(prefix)), _SUFFIX)


def endpoint_of(service: str, region: str) -> str:
    """The URL of a service, without a slash at its end.

    >>> endpoint_of("dynamodb", "cn-north-1")
    'https://dynamodb.cn-north-1.amazonaws.com.cn'
    """
    return named_endpoint(service) or f"https://{service}.{region}.{suffix_of(region)}"


def named_endpoint(service: str) -> str | None:
    """What the environment says: botocore's own names, the one of the service before the general one."""
    for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(name):
            return url.rstrip("/")
    return None
