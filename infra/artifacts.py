"""The bucket that CloudFormation takes a stage's code from."""

import hashlib
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError


class Artifacts:
    """A private bucket for the code of one stack; made at the first upload.

    Args:
        session: boto3's, with the account and the region.
        stack: Name of the stack.
    """

    def __init__(self, session: Any, stack: str) -> None:
        account = session.client("sts").get_caller_identity()["Account"]
        self._s3 = session.client("s3")
        self._region = session.region_name
        # Names of buckets are shared by all accounts of the world.
        self.bucket = f"{stack}-code-{account}-{self._region}"

    def upload(self, file: Path) -> dict[str, str]:
        """Upload a file under the hash of its content; the same code twice is no change.

        Returns:
            Where it is, as a SAM template wants it.
        """
        self._ensure()
        key = f"{hashlib.sha256(file.read_bytes()).hexdigest()}{file.suffix}"
        self._s3.upload_file(str(file), self.bucket, key)
        return {"Bucket": self.bucket, "Key": key}

    def delete(self) -> None:
        """Delete the bucket with all that is in it, there or not."""
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
                for each in page.get("Contents", ()):
                    self._s3.delete_object(Bucket=self.bucket, Key=each["Key"])
            self._s3.delete_bucket(Bucket=self.bucket)
        except self._s3.exceptions.NoSuchBucket:
            pass

    def _ensure(self) -> None:
        # us-east-1 is the one region that must not be named.
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        try:
            self._s3.create_bucket(Bucket=self.bucket, **({} if self._region == "us-east-1" else elsewhere))
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                raise
        self._s3.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
