# SPDX-License-Identifier: Apache-2.0
"""`scripts/conformance kubernetes`: which tests it asks an e2e.test for, and what it tells of the outcome."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance.e2e.__main__ import LIST, focus, main, names

PASSED, FAILED = "[sig-auth] One (of [two]) works [Conformance]", "[sig-cli] Another, too [Conformance]"
UNKNOWN = "[sig-cli] New [Conformance]"
SUITE = """#!/bin/sh
for argument; do
  case $argument in
    --ginkgo.junit-report=*) report=${argument#*=};;
    --kubeconfig=*) test -e "${argument#*=}" || exit 3;;
  esac
done
cat > "$report" <<END
<testsuites><testsuite>
<testcase name="[It] [sig-auth] One (of [two]) works [Conformance] [sig-auth]" status="passed"></testcase>
<testcase name="[It] [sig-cli] Another, too [Conformance]"><failure message="it broke | badly">at 1</failure></testcase>
<testcase name="[It] [sig-node] Not asked for"><skipped message="skipped"/></testcase>
</testsuite></testsuites>
END
exit 1
"""


def test_the_list_has_names_that_are_each_matched_alone():
    listed = names(LIST, [])
    assert len(listed) == len(set(listed)) == 127
    assert all(re.fullmatch(focus([name]), name) for name in listed)


def test_a_run_is_told_with_a_sentence_for_each_failure(tmp_path: Path, capsys):
    suite, listed, page = tmp_path / "e2e.test", tmp_path / "list", tmp_path / "page.md"
    suite.write_text(SUITE)
    suite.chmod(0o755)
    listed.write_text("# names\n" + "\n".join((PASSED, FAILED, UNKNOWN)))
    (tmp_path / "config").touch()
    options = ["--kubeconfig", str(tmp_path / "config"), "--list", str(listed), "--page", str(page)]
    assert main([str(suite), *options]) == 0
    assert "1 passed, 1 failed, 1 skipped" in capsys.readouterr().out
    told = page.read_text()
    assert "| sig-cli | 0 | 1 | 1 |" in told
    assert f"- `{FAILED}`: it broke \\| badly" in told
    assert f"- `{UNKNOWN}`: This e2e.test does not know the test." in told
