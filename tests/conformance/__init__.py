# SPDX-License-Identifier: Apache-2.0

import pytest

pytest.register_assert_rewrite(*(f"tests.conformance.{suite}" for suite in ("guests", "networks", "pods", "state")))
