# SPDX-License-Identifier: Apache-2.0
"""The CNI plugin: a program of its own, run by containerd for each pod. It hands the request to the agent's socket
and prints the agent's answer. It imports next to nothing, because its start is part of every pod's start.

Request: `KEY=value` strings ended by NUL, an empty string, then the network configuration as it was read.
Answer: an exit code as one digit, then what to print.
"""

import os
import sys
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socket

VERSIONS = '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}'
AWAY = '{"cniVersion":"1.0.0","code":11,"msg":"the node agent is away: %s"}'


def ask(address: str, request: bytes) -> bytes:
    """The agent's whole answer."""
    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.connect(address)
    view = memoryview(request)
    while view:
        view = view[connection.send(view) :]
    connection.shutdown(SHUT_WR)
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    return answer


def address_in(configuration: str) -> str:
    """The value of `"socket"` in the configuration, which this project itself wrote: no escapes in it."""
    return configuration.split('"socket":', 1)[1].split('"', 2)[1]


def main() -> int:
    command = os.environ.get("CNI_COMMAND", "")
    if command == "VERSION":
        sys.stdout.write(VERSIONS)
        return 0
    configuration = sys.stdin.read()
    variables = "".join(f"{key}={value}\0" for key, value in os.environ.items() if key.startswith("CNI_"))
    try:
        answer = ask(address_in(configuration), f"{variables}\0{configuration}".encode()).decode()
    except OSError as error:
        answer = "" if command == "ADD" else "0"  # whatever is left of a port is found by the agent when it is back
        reason = str(error)
    else:
        reason = "it hung up"
    if not answer:
        answer = "1" + AWAY % reason
    sys.stdout.write(answer[1:])
    return int(answer[0])


if __name__ == "__main__":
    sys.exit(main())
