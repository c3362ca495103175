"""The secrets a school's webhook is signed with: derived from the master secret each time, stored nowhere."""

from datetime import datetime

from recado import access
from recado.rules import signatures
from recado.tables.portal_webhooks import Secret, Webhook


def new_secret(number: int, made_for: str | None, now: datetime) -> Secret:
    """The school's next secret, under the newest master secret."""
    version, _ = access.newest_master()
    return Secret(number, version, now, made_for=made_for)


def find_secret(school_id: str, secret: Secret) -> str | None:
    """What a secret is, in words; None when the master secret it hung from is gone."""
    master = access.master_secrets(secret.master_version).get(secret.master_version)
    return None if master is None else signatures.portal_webhook_secret(master, school_id, secret.number)


def signing_secrets(school_id: str, webhook: Webhook, now: datetime) -> list[str]:
    """All that hold at this moment, the newest first: whoever has any of them recognises the signature."""
    live = (find_secret(school_id, one) for one in reversed(webhook.secrets) if one.signs(now))
    return [one for one in live if one is not None]
