# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.kinds.identity.oauth1 import SignedRequest
from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


class PasswordLogin(Data):
    """Who, and the proof."""

    user_id: str = field("User's id.", default="")
    user_name: str = field("User's name, with its domain.", default="")
    user_domain_id: str = field("Id of the user's domain.", default="")
    user_domain_name: str = field("Name of the user's domain.", default="")
    password: str = field("Password.")


class ApplicationCredentialLogin(Data):
    """Which application credential, and the proof."""

    id: str = field("Its id.", default="")
    name: str = field("Its name, with its user.", default="")
    user_id: str = field("User's id.", default="")
    user_name: str = field("User's name, with its domain.", default="")
    user_domain_id: str = field("Id of the user's domain.", default="")
    user_domain_name: str = field("Name of the user's domain.", default="")
    secret: str = field("Secret.")


class TokenScope(Data):
    """What the token is for: a project, a domain, the system, or nothing."""

    project_id: str = field("Project's id.", default="")
    project_name: str = field("Project's name, with its domain.", default="")
    domain_id: str = field("Id of the domain, or of the project's domain.", default="")
    domain_name: str = field("Name of the domain, or of the project's domain.", default="")
    system: bool = field("The whole system.", default=False)
    unscoped: bool = field("Nothing, even if the user has a default project.", default=False)
    trust_id: str = field("A trust, and the project it is for.", default="")


class Named(Data):
    """A thing by id and name."""

    id: str = field("Id.")
    name: str = field("Name.", default="")
    domain_id: str = field("Domain's id.", default="")
    domain_name: str = field("Domain's name.", default="")


class ListedEndpoint(Data):
    """An address in the catalog."""

    id: str = field("Id.")
    interface: str = field("For whom.")
    region_id: str = field("Region.", default="")
    url: str = field("Address.")


class ListedService(Data):
    """A service in the catalog that this cloud does not serve itself."""

    id: str = field("Id.")
    type: str = field("Type.")
    name: str = field("Name.", default="")
    endpoints: list[ListedEndpoint] = field("Where it answers.", default_factory=list)


class ShownEndpoints(Data):
    """What of the catalog a project is shown, if not all (OS-EP-FILTER)."""

    endpoint_ids: list[str] = field("Endpoints, by id.", default_factory=list)
    filters: list[dict[str, str]] = field("Endpoint groups: what their endpoints have.", default_factory=list)


class ThroughTrust(Data):
    """The trust that a token was made through."""

    id: str = field("Id.")
    impersonation: bool = field("The trustee appears as the trustor.", default=False)
    trustor_user_id: str = field("Who trusts.")
    trustee_user_id: str = field("Who is trusted.")


class ThroughAccessToken(Data):
    """The access token (OAuth 1.0a) that a token was made through."""

    id: str = field("Id.")
    consumer_id: str = field("Whose it is.")


class TokenStatus(Data):
    """What a token says."""

    token: str = field("The bearer token, when it was just issued.", default="")
    issued_at: str = field("When, RFC 3339.", default="")
    expires_at: str = field("Until when, RFC 3339.", default="")
    audit_ids: list[str] = field("Its audit id, and that of the token it came from.", default_factory=list)
    methods: list[str] = field("How the user proved itself.", default_factory=list)
    user: Named | None = field("Whose.", default=None)
    password_expires_at: str = field("When the user's password must be changed.", default="")
    project: Named | None = field("For which project.", default=None)
    domain: Named | None = field("For which domain.", default=None)
    system: bool = field("For the system.", default=False)
    roles: list[Named] = field("With which roles.", default_factory=list)
    application_credential: Named | None = field("Through which application credential.", default=None)
    restricted: bool = field("That credential may make no others.", default=False)
    trust: ThroughTrust | None = field("Through which trust.", default=None)
    oauth1: ThroughAccessToken | None = field("Through which access token.", default=None)
    services: list[ListedService] = field("What the catalog has beside the cloud's own services.", default_factory=list)
    shown: ShownEndpoints | None = field("What of the catalog its project is shown; none: all.", default=None)


@kind("tokens", group="identity", namespaced=False, verbs=("create",), subresources=())
class Token(Resource):
    """A log-in: creating one answers with a token. Never stored."""

    class Spec(Data):
        methods: list[str] = field("How: password, token, application_credential or oauth1.")
        password: PasswordLogin | None = field("For method password.", default=None)
        token: str = field("For method token: the token to exchange.", default="")
        application_credential: ApplicationCredentialLogin | None = field(
            "For method application_credential.", default=None
        )
        oauth1: SignedRequest | None = field("For method oauth1: the request as it was signed.", default=None)
        scope: TokenScope | None = field("What for. Absent: the user's default project.", default=None)

    spec: Spec = field("Who asks, and what for.")
    status: TokenStatus = field("The token.", default_factory=TokenStatus)


@kind("tokeninspections", group="identity", namespaced=False, verbs=("create",), subresources=())
class TokenInspection(Resource):
    """What a token says: anyone of its own, admin and service of all. Never stored."""

    class Spec(Data):
        token: str = field("The token to look at.")

    spec: Spec = field("Which token.")
    status: TokenStatus = field("What it says.", default_factory=TokenStatus)


@kind("tokenrevocations", group="identity", namespaced=False, verbs=("create",), subresources=())
class TokenRevocation(Resource):
    """Ends a token before its time: anyone its own, admin all. Kept as a RevokedToken."""

    class Spec(Data):
        token: str = field("The token to end.")

    spec: Spec = field("Which token.")


@kind("revokedtokens", group="identity", namespaced=False, subresources=())
class RevokedToken(Resource):
    """A token that is refused although it has not expired; kept until it would have. Named by a digest of its id."""

    class Spec(Data):
        audit_id: str = field("Audit id of the token.", immutable=True)
        expires_at: str = field("When the token ends by itself, RFC 3339.", immutable=True, column="Expires")

    spec: Spec = field("Which token.")


@kind("passwordchanges", group="identity", namespaced=False, verbs=("create",), subresources=())
class PasswordChange(Resource):
    """Sets a user's password: admin anyone's, a user its own with the one it has. Never stored."""

    class Spec(Data):
        user_id: str = field("User's id.")
        password: str = field("New password.")
        original_password: str = field("Password so far, when a user changes its own.", default="")

    spec: Spec = field("Whose, and to what.")


@kind("scopereviews", group="identity", namespaced=False, verbs=("create",), subresources=())
class ScopeReview(Resource):
    """Where the asking user has a role: what its tokens can be scoped to. Never stored."""

    class Spec(Data):
        user_id: str = field("Another user's id, for admin; by default the asking user.", default="")

    class Status(Data):
        namespaces: list[str] = field("Namespaces of its projects.", default_factory=list)
        domains: list[str] = field("Names of its domains' objects.", default_factory=list)
        system: bool = field("It has a role on the system.", default=False)

    spec: Spec = field("Who.", default_factory=Spec)
    status: Status = field("Where.", default_factory=Status)
