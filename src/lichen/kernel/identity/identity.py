# SPDX-License-Identifier: Apache-2.0
"""Identity as a kernel uses it: one object that knows callers, their rights, and the virtual kinds about both.

identity = Identity(store, Keys.load(folder), clock)
kernel = Kernel(store, identity, clock=clock)
identity.install(kernel.virtual, kernel.admission, kernel.acting(SYSTEM))
await identity.start()
await kernel.start()
password = await identity.bootstrap(kernel.acting(SYSTEM))
"""

from __future__ import annotations

from lichen.kernel.access import Clock, Guard, SystemClock
from lichen.kernel.admission import Plugin
from lichen.kernel.identity.admission import CatalogIds, Identities, SeenAtOnce
from lichen.kernel.identity.authenticator import Authenticator
from lichen.kernel.identity.authorizer import Authorizer
from lichen.kernel.identity.bootstrap import Bootstrap
from lichen.kernel.identity.credentials import Credentials
from lichen.kernel.identity.delegation import Delegations
from lichen.kernel.identity.directory import Directory
from lichen.kernel.identity.domain_configs import DomainConfigs
from lichen.kernel.identity.guards import ImagesKeepTheirBytes, NodesKeepToTheirOwn, NoEscalation, SharingIsForAdmins
from lichen.kernel.identity.keyring import Keyring
from lichen.kernel.identity.keys import Keys
from lichen.kernel.identity.login import LIFETIME, Login
from lichen.kernel.identity.nodes import NodeReads
from lichen.kernel.identity.oauth1 import OAuth1
from lichen.kernel.identity.passwords import Cost, Passwords
from lichen.kernel.identity.reviews import Reviews
from lichen.kernel.identity.service_accounts import ServiceAccountTokens
from lichen.kernel.identity.tokens import ISSUER, Tokens
from lichen.kernel.virtual import VirtualKinds
from lichen.kinds import builtin
from lichen.kinds.identity.credential import CredentialDisclosure
from lichen.kinds.identity.oauth1 import OAuthAuthorization, OAuthExchange
from lichen.kinds.identity.token import PasswordChange, ScopeReview, Token, TokenInspection, TokenRevocation
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind
from lichen.model.selectors import Matcher
from lichen.model.state import Caller, State


class Identity:
    """store: bare, below any kernel. lifetime: of users' tokens, seconds. cost: of hashing a password."""

    def __init__(
        self,
        store: State,
        keys: Keys,
        clock: Clock | None = None,
        *,
        lifetime: float = LIFETIME,
        cost: Cost = Cost(),  # noqa: B008
    ) -> None:
        now: Clock = clock or SystemClock()
        self.keys = keys
        self._store = store
        self.directory = Directory(store)
        self.authorizer = Authorizer(self.directory)
        self.keyring = Keyring(store, self.directory, keys, now)
        self._tokens = Tokens(self.keyring, now)
        self._authenticator = Authenticator(self._tokens, self.directory, now)
        self._passwords = Passwords(keys.digest, now, cost)
        self._credentials = Credentials(store, self.directory, self._passwords, now)
        self._delegations = Delegations(store, self.directory, self._passwords, now)
        self._oauth1 = OAuth1(store, self.directory, now)
        self._accounts = ServiceAccountTokens(self._tokens, now, store)
        self._node_reads = NodeReads(store)
        self._reviews = Reviews(self._authenticator, self.authorizer)
        self._login = Login(
            store, self.directory, self._tokens, self._authenticator, self._credentials, self._delegations,
            self._oauth1, now, lifetime,
        )  # fmt: skip

    async def start(self) -> None:
        """Load who is who and who may what, and follow it."""
        await self.directory.start()
        await self.keyring.start()

    async def stop(self) -> None:
        await self.keyring.stop()
        await self.directory.stop()
        self._passwords.close()

    async def bootstrap(self, state: State, password: str = "") -> str | None:
        """Make domain, roles, admin and built-in rights where they are missing, through a State with all rights.
        Returns the admin's password if it was set now (`password`, or a fresh one), else None."""
        return await Bootstrap(state, self.directory, self._credentials).run(password)

    async def authenticate(self, token: str) -> Caller:
        """Who bears `token`. Unauthorized: it is forged, expired or revoked."""
        return await self._authenticator.authenticate(token)

    def refusal(
        self,
        caller: Caller,
        verb: str,
        kind: Kind,
        namespace: str,
        name: str,
        subresource: str = "",
        fields: str = "",
    ) -> str | None:
        """As `access.Authorizer`: None if the caller may, else why not."""
        return self.authorizer.refusal(caller, verb, kind, namespace, name, subresource, fields)

    def refusal_of_path(self, caller: Caller, verb: str, path: str) -> str | None:
        """The same for a path that is no resource."""
        return self.authorizer.refusal_of_path(caller, verb, path)

    def seen(self, caller: Caller, verb: str, kind: Kind, name: str) -> Matcher | None:
        """As `access.Narrowing`."""
        return self.authorizer.seen(caller, verb, kind, name)

    async def guard_get(self, caller: Caller, kind: Kind, name: str, namespace: str) -> None:
        """As `access.Guarding`."""
        await self._node_reads.check(caller, kind, name, namespace)

    def guard_picked(self, caller: Caller, kind: Kind, namespace: str, fields: str) -> Guard | None:
        """As `access.Guarding`."""
        return self._node_reads.check_picked(caller, kind, namespace, fields)

    def install(self, virtual: VirtualKinds, admission: list[Plugin], state: State | None = None) -> None:
        """Give a kernel the virtual kinds and the admission that belong to identity. state: the kernel's own, with all
        rights, so that what goes with a user or a domain goes as if it was deleted by hand."""
        login, reviews = self._login, self._reviews
        virtual.register(Token.KIND, login.issue, public=True)
        virtual.register(TokenInspection.KIND, login.inspect)
        virtual.register(TokenRevocation.KIND, login.revoke)
        virtual.register(ScopeReview.KIND, login.scopes)
        virtual.register(PasswordChange.KIND, self._credentials.change, public=True)
        virtual.register(CredentialDisclosure.KIND, self._delegations.disclose)
        virtual.register(OAuthExchange.KIND, self._oauth1.exchange, public=True)
        virtual.register(OAuthAuthorization.KIND, self._oauth1.authorize)
        virtual.register(builtin.TOKEN_REVIEW, reviews.token)
        virtual.register(builtin.SELF_SUBJECT_REVIEW, reviews.myself)
        virtual.register(builtin.SELF_SUBJECT_ACCESS_REVIEW, reviews.my_access)
        virtual.register(builtin.SUBJECT_ACCESS_REVIEW, reviews.access)
        virtual.register(builtin.LOCAL_SUBJECT_ACCESS_REVIEW, reviews.local_access)
        virtual.register(builtin.SELF_SUBJECT_RULES_REVIEW, reviews.my_rules)
        virtual.register_subresource(builtin.SERVICE_ACCOUNT, "token", self._accounts.request)
        admission.extend(self._plugins(state))

    def _plugins(self, state: State | None) -> list[Plugin]:
        return [
            SeenAtOnce(self.directory),
            Identities(self.directory, state),
            CatalogIds(),
            self._delegations,
            self._oauth1,
            self.keyring,
            DomainConfigs(self._store, self.directory),
            NoEscalation(self.authorizer),
            SharingIsForAdmins(),
            ImagesKeepTheirBytes(),
            NodesKeepToTheirOwn(),
        ]

    def system_token(self, name: str, groups: tuple[str, ...] = (), seconds: float = 3600.0) -> str:
        """A token for one of our processes: `system:node:a` of group `system:nodes`, `system:lichen-controllers`."""
        return self._accounts.system(name, groups, seconds)

    async def set_password(self, user_name: str, password: str) -> None:
        """Set a user's password by its handle, for the daemon's own needs. NotFound."""
        user = self.directory.users.get(user_name)
        if user is None:
            raise NotFound(f"Could not find user: {user_name}.")
        await self._credentials.set(user, password)

    def jwks(self) -> Object:
        """The public keys of our tokens."""
        return self.keyring.jwks()

    def issuer(self) -> str:
        """What our tokens name as their issuer."""
        return ISSUER
