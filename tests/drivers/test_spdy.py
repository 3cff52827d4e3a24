# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import zlib

import pytest

from lichen.drivers.spdy import DICTIONARY, Data, Opened, Ping, Replied, Reset, Spdy, control, data_frame
from lichen.model.errors import BadRequest


def headers(**pairs: str) -> bytes:
    words = [word.encode() for pair in pairs.items() for word in pair]
    return len(pairs).to_bytes(4, "big") + b"".join(len(word).to_bytes(4, "big") + word for word in words)


def test_the_dictionary_is_the_protocols_own():
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


def test_frames_are_read_however_they_are_cut():
    packer = zlib.compressobj(zdict=DICTIONARY)
    block = packer.compress(headers(StreamType="data", port="80")) + packer.flush(zlib.Z_SYNC_FLUSH)
    frames = control(1, (1).to_bytes(4, "big") + bytes(6) + block) + data_frame(1, b"hello", last=True)
    frames += control(3, (1).to_bytes(4, "big") + bytes(4)) + control(6, bytes(4))
    spdy = Spdy()
    events = [event for byte in frames for event in spdy.feed(bytes([byte]))]
    opened = Opened(1, {"streamtype": "data", "port": "80"}, last=False)
    assert events == [opened, Data(1, b"hello", last=True), Reset(1), Ping(control(6, bytes(4)))]


def test_what_a_client_opens_a_server_accepts():
    client, server = Spdy(), Spdy()
    for number, kind in ((1, "error"), (3, "stdout")):
        (opened,) = server.feed(client.open(number, {"streamtype": kind}))
        assert opened == Opened(number, {"streamtype": kind}, last=False)
        assert list(client.feed(server.reply(number))) == [Replied(number)]


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x80\x02\0\x01\0\0\0\0", b"\x80\x03\0\x01\0\0\0\x0c" + b"x" * 12]
)
def test_what_is_no_spdy_is_refused(data: bytes):
    with pytest.raises(BadRequest):
        list(Spdy().feed(data))
