"""The import bucket's objects, by key. It must never be asked for a key that came from outside."""

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from recado.aws import client
from recado.settings import SETTINGS


def sign_upload(key: str, seconds: int) -> str:
    """An address to PUT this object to, for so many seconds, whatever its size. No call is made."""
    place = {"Bucket": SETTINGS.import_bucket, "Key": key}
    address: str = client("s3").generate_presigned_url("put_object", Params=place, ExpiresIn=seconds)
    return address


def find_object(key: str) -> Mapping[str, Any] | None:
    """`ETag`, `ContentLength` and `Body`, a stream; None when it is not there."""
    try:
        found: Mapping[str, Any] = client("s3").get_object(Bucket=SETTINGS.import_bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    return found


def save_object(key: str, body: bytes, media_type: str) -> None:
    """Puts an object, or puts it again."""
    client("s3").put_object(Bucket=SETTINGS.import_bucket, Key=key, Body=body, ContentType=media_type)


def list_keys(prefix: str) -> list[str]:
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=SETTINGS.import_bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def delete_objects(keys: Iterable[str]) -> None:
    """Deletes them one by one: there are few, and without them the bucket is what it should be, however often asked."""
    for key in keys:
        client("s3").delete_object(Bucket=SETTINGS.import_bucket, Key=key)
