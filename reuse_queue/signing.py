"""Payload signatures: proof that whoever enqueued a job holds a key that Redis does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from reuse_queue.errors import InvalidSettings, InvalidSignature

MOST_KEYS = 2
LEAST_SECRET = 32
_FORM = b"1"
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_VARIABLE = "REUSE_QUEUE_SIGNING_KEYS"
_MADE_BY = "python -c 'import secrets; print(secrets.token_hex(32))' makes one"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the first of its keys, and accepts what any of them has signed."""

    signs_as: str
    """The first key's id."""
    _secrets: Mapping[str, bytes] = field(repr=False)

    def sign(self, job_id: str, env: str, data: bytes, ends: bytes = b"") -> bytes:
        """Return the signature of a payload, and of the callbacks named with it, for one job."""
        return _signature(self.signs_as, self._secrets[self.signs_as], job_id, env, data, ends)

    def check(
        self, job_id: str, env: str, data: bytes, signature: bytes | None, ends: bytes = b""
    ) -> None:
        """Do nothing if one of the keys has signed this payload for this job, with these callbacks.

        Raises:
            InvalidSignature: none has; the message says what is wrong and what to do.
        """
        if not signature:
            raise InvalidSignature(
                f"job {job_id} is not signed, and the replicas of {env} run only what is: set "
                f"{_VARIABLE} where it is enqueued (rq's own clients cannot sign)"
            )
        form, _, rest = signature.partition(b":")
        if form != _FORM:
            raise InvalidSignature(
                f"job {job_id} has a signature of a form that is not known here: it was enqueued "
                "by a newer release of reuse_queue; upgrade this host"
            )
        key_id = rest.partition(b":")[0].decode(errors="replace")
        secret = self._secrets.get(key_id)
        if secret is None:
            raise InvalidSignature(
                f"job {job_id} is signed with a key not known here: {key_id[:32]!r} (known: "
                f"{', '.join(self._secrets)}). A new key goes to all hosts, as the second one, "
                "before anybody signs with it"
            )
        if not hmac.compare_digest(_signature(key_id, secret, job_id, env, data, ends), signature):
            raise InvalidSignature(
                f"job {job_id} has a signature that does not fit: the payload was changed, or was "
                "signed for another job or environment, with other callbacks, or with another "
                f"secret named {key_id!r}"
            )


@lru_cache(maxsize=8)
def signer(keys: str) -> Signer | None:
    """Return the signer with the keys of a setting, `id:secret` or `id:secret,id:secret`.

    None where there are no keys: nothing is signed then, and nothing refused.

    Raises:
        InvalidSettings: it is no such text; the message shows no secret.
    """
    secrets: dict[str, bytes] = {}
    for number, word in enumerate(keys.split(",") if keys else (), 1):
        key_id, colon, secret = word.strip().partition(":")
        if not colon or not _KEY_ID.fullmatch(key_id):
            raise InvalidSettings(
                f"{_VARIABLE}: key {number} must be ID:SECRET, its id of at most 32 letters, "
                "digits and _ . -"
            )
        if len(secret) < LEAST_SECRET:
            raise InvalidSettings(
                f"{_VARIABLE}: the secret of key {key_id} must have at least {LEAST_SECRET} "
                f"characters; {_MADE_BY}"
            )
        if key_id in secrets:
            raise InvalidSettings(f"{_VARIABLE}: two keys have the id {key_id}")
        secrets[key_id] = secret.encode()
    if len(secrets) > MOST_KEYS:
        raise InvalidSettings(
            f"{_VARIABLE}: at most {MOST_KEYS} keys: the one that signs, then one that is accepted"
        )
    return Signer(next(iter(secrets)), secrets) if secrets else None


def _signature(
    key_id: str, secret: bytes, job_id: str, env: str, data: bytes, ends: bytes
) -> bytes:
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    texts = (each.encode(errors="surrogateescape") for each in (key_id, job_id, env))
    for part in (_FORM, *texts, data, *([ends] if ends else [])):
        # With its length before it: no two different jobs read the same.
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return b"%b:%b:%b" % (_FORM, key_id.encode(), base64.urlsafe_b64encode(mac.digest()))
