# SPDX-License-Identifier: Apache-2.0
"""Signatures of OAuth 1.0a (RFC 5849, HMAC-SHA1), by oauthlib: 30 ms to load, so this module is imported when the first
signed request comes."""

from __future__ import annotations

from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, RequestValidator, SignatureOnlyEndpoint
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

from lichen.model.errors import BadRequest

LIFETIME = 600.0
"""A request is taken so many seconds before and after the time that it names."""


class _Secrets(RequestValidator):  # type: ignore[misc]
    """What oauthlib asks while it checks one request. TLS is the listener's affair."""

    enforce_ssl = False
    allowed_signature_methods = (SIGNATURE_HMAC_SHA1,)
    client_key_length = nonce_length = (1, 64)
    timestamp_lifetime = LIFETIME

    def __init__(self, consumer_secret: str, token_secret: str) -> None:
        super().__init__()
        self._consumer_secret = consumer_secret
        self._token_secret = token_secret

    def validate_client_key(self, client_key: str, request: object) -> bool:
        return True  # whoever asks has looked it up

    def validate_timestamp_and_nonce(self, client_key: str, timestamp: str, nonce: str, request: object) -> bool:
        return True  # whoever asks keeps the nonces, once the signature is known to hold

    def get_client_secret(self, client_key: str, request: object) -> str:
        return self._consumer_secret

    def get_access_token_secret(self, client_key: str, token: str, request: object) -> str:
        return self._token_secret


def parameters(authorization: str) -> dict[str, str]:
    """The oauth_ parameters of a header Authorization. BadRequest: it is none of OAuth 1.0a."""
    try:
        return dict(parse_authorization_header(authorization))
    except ValueError:
        raise BadRequest("The request is signed in its header Authorization: OAuth oauth_consumer_key=…") from None


def holds(url: str, authorization: str, consumer_secret: str, token_secret: str) -> bool:
    """Whether a POST is signed with these secrets, and within the time."""
    endpoint = SignatureOnlyEndpoint(_Secrets(consumer_secret, token_secret))
    try:
        is_right, _ = endpoint.validate_request(url, "POST", None, {"Authorization": authorization})
    except ValueError:  # a URL that is none
        return False
    return bool(is_right)
