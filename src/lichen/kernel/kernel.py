# SPDX-License-Identifier: Apache-2.0
"""The kernel: what makes a store an API server. Holds what all sessions share; a `Session` speaks for one caller.

kernel = Kernel(store, identity)
await kernel.start()
session = kernel.acting(await kernel.authenticate(token))
"""

from __future__ import annotations

from lichen.kernel.access import Access, Clock, Guarding, Narrowing, Store, SystemClock
from lichen.kernel.admission import Plugin, Resuming
from lichen.kernel.admission.chain import Chain
from lichen.kernel.admission.quota import Quotas
from lichen.kernel.admission.standard import standard_plugins
from lichen.kernel.bootstrap import bootstrap
from lichen.kernel.custom.custom import Definitions
from lichen.kernel.custom.ruling import CustomRules
from lichen.kernel.managed.managers import Tracking
from lichen.kernel.policies.policies import Installed, Policies
from lichen.kernel.policies.webhooks import WebhookConfigurations
from lichen.kernel.schema import Schemas
from lichen.kernel.session import Session
from lichen.kernel.views import Views
from lichen.kernel.virtual import VirtualKinds
from lichen.kernel.writes import Writes
from lichen.kinds.catalog import Catalog
from lichen.model.kind import Kind
from lichen.model.state import Caller

SYSTEM = Caller(name="system:lichen", groups=("system:masters", "system:authenticated"))
"""The kernel itself, and whatever runs in its process on its own behalf."""


class Kernel:
    """store: where objects are. access: who callers are and what they may do. Both outlive the kernel."""

    def __init__(
        self,
        store: Store,
        access: Access,
        *,
        clock: Clock | None = None,
        catalog: Catalog | None = None,
        plugins: list[Plugin] | None = None,
    ) -> None:
        self.store = store
        self.access = access
        self.guarding = access if isinstance(access, Guarding) else None
        self.narrowing = access if isinstance(access, Narrowing) else None
        self.clock: Clock = clock or SystemClock()
        self.catalog = catalog or Catalog()
        self.schemas = Schemas(self.catalog)
        self.virtual = VirtualKinds()
        self.admission = Chain(standard_plugins() if plugins is None else plugins)
        self.custom = Definitions(self)
        self.admission.append(self.custom)
        self.policies = Policies(self)
        self.admission.put_before(Quotas, self.policies)
        self.admission.put_before(Quotas, CustomRules(self.catalog, self.admission))
        self.admission.append(Installed(self.policies))
        self.admission.append(WebhookConfigurations(self.policies.language))
        self.views = Views(self.catalog, self.schemas)
        self.tracking = Tracking(self.catalog)
        self.writes = Writes(self.store, self.schemas, self.admission, self.clock, self.tracking)

    async def start(self) -> None:
        """Serve installed kinds; make what every cloud has: system namespaces, classes, the shared network. Safe to
        repeat."""
        session = self.acting(SYSTEM)
        await self.custom.start(session)
        await bootstrap(session)
        for plugin in self.admission:
            if isinstance(plugin, Resuming):
                await plugin.resume(self.store)

    async def authenticate(self, token: str) -> Caller:
        """Who bears `token`. Unauthorized."""
        return await self.access.authenticate(token)

    def acting(self, caller: Caller) -> Session:
        """The State as `caller` may see and change it."""
        return Session(self, caller)

    def known(self, kind: Kind) -> Kind:
        """The same kind with all it declares, as the catalog has it."""
        return self.catalog.canonical(kind) or kind
