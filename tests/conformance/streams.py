# SPDX-License-Identifier: Apache-2.0
"""What people do at a container's prompt, through the real kubectl: one suite for the simulated and the real cloud.

A subclass says in which cloud, with `cloud`; images are busybox."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.cloud import Here, until
from tests.conformance.tools import newer_kubectl

DEMO = ("-n", "demo")


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, cloud: Here, *command: str, rows: int = 24, columns: int = 80) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (rows, columns))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=cloud.env, cwd=cloud.folder, start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str, seconds: float = 30.0) -> None:
        """Read until `text` has been seen."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} was never seen in {self.seen!r}"
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._master, 65536).decode(errors="replace")
                except OSError:  # the terminal's other side is closed
                    assert text in self.seen, f"{text!r} was never seen in {self.seen!r}"

    def resize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self._master, (rows, columns))
        self.process.send_signal(signal.SIGWINCH)  # it is no controlling terminal

    def end(self) -> int:
        try:
            return self.process.wait(30)
        finally:
            self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


class StreamConformance:
    """Two kubectls: this machine's and the newest."""

    @pytest.fixture(params=["older", "newer"])
    def kubectl(self, request: pytest.FixtureRequest) -> str:
        return "kubectl" if request.param == "older" else str(newer_kubectl())

    @pytest.fixture
    def pod(self, cloud: Here) -> Iterator[str]:
        cloud.kubectl_ok(*DEMO, "run", "prompt", "--image=busybox", "--", "sleep", "3600")
        cloud.kubectl_ok(*DEMO, "wait", "pod/prompt", "--for=condition=Ready", "--timeout=60s")
        yield "prompt"
        cloud.kubectl_ok(*DEMO, "delete", "pod", "prompt", "--now")

    def test_a_shell_on_a_terminal_ends_with_its_own_exit_code(self, cloud: Here, pod: str, kubectl: str):
        terminal = Terminal(cloud, kubectl, *DEMO, "exec", "-it", pod, "--", "sh")
        try:
            terminal.type("echo here-$HOSTNAME\n")
            terminal.expect("here-prompt")
            terminal.type("exit 7\n")
        finally:
            code = terminal.end()
        assert code == 7

    def test_input_goes_in_to_its_end_and_output_and_errors_come_out_apart(self, cloud: Here, pod: str, kubectl: str):
        script = "cat; echo oops >&2; exit 3"
        done = cloud.run(kubectl, *DEMO, "exec", "-i", pod, "--", "sh", "-c", script, input="one\ntwo\n")
        assert (done.code, done.out) == (3, "one\ntwo\n")
        assert done.err.splitlines()[0] == "oops"

    def test_a_pod_is_run_given_input_and_removed_in_one_go(self, cloud: Here, kubectl: str):
        script = "cat; echo end of $HOSTNAME"
        command = (
            "run",
            "brief",
            "-i",
            "--rm",
            "--restart=Never",
            "--quiet",
            "--image=busybox",
            "--",
            "sh",
            "-c",
            script,
        )
        done = cloud.run(kubectl, *DEMO, *command, input="this\n")
        assert (done.code, done.out) == (0, "this\nend of brief\n"), done
        assert cloud.kubectl(*DEMO, "get", "pod", "brief").code == 1

    def test_a_shell_of_its_own_is_attached_to_left_and_attached_to_again(self, cloud: Here, kubectl: str):
        spec = '{"spec":{"containers":[{"name":"c","image":"busybox","command":["sh"],"stdin":true,"tty":true}]}}'
        cloud.kubectl_ok(*DEMO, "run", "shell", "--image=busybox", f"--overrides={spec}")
        cloud.kubectl_ok(*DEMO, "wait", "pod/shell", "--for=condition=Ready", "--timeout=60s")
        for word in ("first", "second"):
            terminal = Terminal(cloud, kubectl, *DEMO, "attach", "-it", "shell")
            try:
                terminal.type(f"echo {word}-$HOSTNAME\n")
                terminal.expect(f"{word}-shell")
            finally:
                terminal.close()
        until("the pod runs on", lambda: cloud.object(*DEMO, "pod", "shell")["status"]["phase"] == "Running")
        assert cloud.object(*DEMO, "pod", "shell")["status"]["containerStatuses"][0]["restartCount"] == 0
        cloud.kubectl_ok(*DEMO, "delete", "pod", "shell", "--now")

    def test_a_container_is_put_beside_a_running_one_to_look_at_it(self, cloud: Here, pod: str, kubectl: str):
        command = ("debug", "-i", pod, "--image=busybox", "--profile=baseline", "-c", "look", "--quiet")
        # kubectl debug leaves the input open when its client has gone.
        typed = "echo seen\necho at $HOSTNAME\nexit\n"
        done = cloud.run(kubectl, *DEMO, *command, "--", "sh", input=typed)
        assert (done.code, done.out) == (0, "seen\nat prompt\n"), done
        assert cloud.kubectl_ok(*DEMO, "logs", pod, "-c", "look") == "seen\nat prompt\n"
        ended = "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0"
        cloud.kubectl_ok(*DEMO, "wait", f"pod/{pod}", f"--for={ended}", "--timeout=30s")
        assert cloud.object(*DEMO, "pod", pod)["status"]["phase"] == "Running"
        refused = cloud.kubectl(
            *DEMO, "patch", "pod", pod, "--subresource=ephemeralcontainers", "--type=json",
            "-p", '[{"op": "replace", "path": "/spec/ephemeralContainers", "value": []}]',
        )  # fmt: skip
        assert "existing ephemeral containers may not be changed or removed" in refused.err

    def test_attaching_without_input_shows_what_is_said_from_then_on(self, cloud: Here, kubectl: str):
        script = "while true; do echo tick; sleep 1; done"
        cloud.kubectl_ok(*DEMO, "run", "ticks", "--image=busybox", "--", "sh", "-c", script)
        cloud.kubectl_ok(*DEMO, "wait", "pod/ticks", "--for=condition=Ready", "--timeout=60s")
        attached = cloud.start(kubectl, *DEMO, "attach", "ticks", "--quiet")
        try:
            assert attached.stdout is not None
            lines = [attached.stdout.readline() for _ in range(2)]
        finally:
            attached.terminate()
            attached.communicate()
        assert "tick\n" in lines
        cloud.kubectl_ok(*DEMO, "delete", "pod", "ticks", "--now")

    def test_a_container_that_does_not_run_is_named(self, cloud: Here, kubectl: str):
        cloud.kubectl_ok(*DEMO, "run", "ended", "--image=busybox", "--restart=Never", "--", "sh", "-c", "exit 0")
        ended = "jsonpath={.status.phase}=Succeeded"
        cloud.kubectl_ok(*DEMO, "wait", "pod/ended", f"--for={ended}", "--timeout=60s")
        done = cloud.run(kubectl, *DEMO, "exec", "ended", "--", "true")
        assert done.code == 1
        assert "cannot exec into a container in a completed pod" in done.err or "is not running" in done.err
        cloud.kubectl_ok(*DEMO, "delete", "pod", "ended", "--now")


class FileConformance:
    """What needs a real file system in the container."""

    def test_a_terminal_has_the_size_of_the_users(self, cloud: Here, pod: str, kubectl: str):
        terminal = Terminal(cloud, kubectl, *DEMO, "exec", "-it", pod, "--", "sh", rows=33, columns=101)
        try:
            terminal.type("stty size\n")
            terminal.expect("33 101")
            terminal.resize(22, 99)
            for _ in range(20):
                terminal.type("stty size\n")
                time.sleep(0.2)
                if "22 99" in terminal.seen:
                    break
                terminal.expect("stty size")
            terminal.expect("22 99")
        finally:
            terminal.close()

    def test_files_are_copied_in_and_out(self, cloud: Here, pod: str, kubectl: str, tmp_path: Path):
        (tmp_path / "in" / "sub").mkdir(parents=True)
        data = os.urandom(3 << 20)
        (tmp_path / "in" / "sub" / "data").write_bytes(data)
        cloud.kubectl_ok(*DEMO, "exec", pod, "--", "rm", "-rf", "/tmp/in")
        done = cloud.run(kubectl, *DEMO, "cp", str(tmp_path / "in"), f"{pod}:/tmp/in")
        assert done.code == 0, done.err
        done = cloud.run(kubectl, *DEMO, "cp", f"{pod}:/tmp/in", str(tmp_path / "out"))
        assert done.code == 0, done.err
        assert (tmp_path / "out" / "sub" / "data").read_bytes() == data
