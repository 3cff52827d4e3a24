# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("oauthconsumers", group="identity", namespaced=False, subresources=())
class OAuthConsumer(Resource):
    """A program that asks users for some of their roles (OAuth 1.0a). The secret that it signs with is in Secret
    `oauth-consumer-<name>` of `lichen-system`."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        description: str = field("Free text.", default="", openstack="description", column="Description")
        secret: str = field("What it signs with. Taken out at admission.", default="")

    spec: Spec = field("Which program.", default_factory=Spec)


@kind("oauthtokens", group="identity", namespaced=False, verbs=("get", "list", "watch", "delete"), subresources=())
class OAuthToken(Resource):
    """What a consumer was given: a request token, which a user may authorize, or the access token that it is exchanged
    for. Its secret is in Secret `oauth-token-<name>` of `lichen-system`. Ends when it is deleted."""

    class Spec(Data):
        id: str = field("OpenStack id.", immutable=True, openstack="id", selectable=True)
        usage: str = field("request or access.", immutable=True, enum=("request", "access"), column="Usage")
        consumer_id: str = field("Whose it is.", immutable=True, openstack="consumer_id", selectable=True)
        project_id: str = field("Project it is for.", immutable=True, openstack="project_id", column="Project")
        user_id: str = field(
            "User who authorized it.", default="", immutable=True, openstack="authorizing_user_id", selectable=True
        )
        roles: list[str] = field("Ids of the roles that the user delegates.", default_factory=list, immutable=True)
        expires_at: str = field("When it ends, RFC 3339.", default="", immutable=True, column="Expires")

    spec: Spec = field("Whom it lets do what.")


class SignedRequest(Data):
    """A call as its consumer signed it."""

    url: str = field("Where it was sent.")
    authorization: str = field("Its header Authorization.")


@kind("oauthexchanges", group="identity", namespaced=False, verbs=("create",), subresources=())
class OAuthExchange(Resource):
    """A consumer's request, answered with a token: a request token for a project, or the access token for an authorized
    request token. The signature is the proof, there is no other. Never stored."""

    class Spec(Data):
        usage: str = field("Which token it asks for.", enum=("request", "access"))
        request: SignedRequest = field("The call.")
        project_id: str = field("The project that a request token is for.", default="")

    class Status(Data):
        id: str = field("The token.")
        secret: str = field("What requests with it are signed with beside the consumer's secret.")
        expires_at: str = field("When it ends, RFC 3339.")

    spec: Spec = field("What is asked.")
    status: Status | None = field("The token.", default=None)


@kind("oauthauthorizations", group="identity", namespaced=False, verbs=("create",), subresources=())
class OAuthAuthorization(Resource):
    """The asking user delegates roles to a request token; the answer is what its consumer must show then. Never
    stored."""

    class Spec(Data):
        request_token_id: str = field("Which token.")
        roles: list[str] = field("Ids of the roles.")

    class Status(Data):
        verifier: str = field("To be handed to the consumer by the user.")

    spec: Spec = field("Who lets whom do what.")
    status: Status | None = field("The verifier.", default=None)
