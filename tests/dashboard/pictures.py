# SPDX-License-Identifier: Apache-2.0
"""Pictures small enough for a repository: PNG with a palette of 256 colours."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS = """
const [data, done] = arguments, image = new Image();
image.onload = () => {
  const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height});
  const paper = canvas.getContext("2d");
  paper.drawImage(image, 0, 0);
  const bytes = paper.getImageData(0, 0, image.width, image.height).data;
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  done([image.width, image.height, btoa(text)]);
};
image.src = "data:image/png;base64," + data;
"""


def screenshot(driver: Any) -> NDArray[np.uint8]:
    """What a browser shows, as rows of red, green, blue. It leaves the page: its policy would not let us read."""
    taken = driver.get_screenshot_as_base64()
    driver.get("about:blank")
    width, height, pixels = driver.execute_async_script(PIXELS, taken)
    whole = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)
    return np.ascontiguousarray(whole[:, :, :3])


def png(picture: NDArray[np.uint8]) -> bytes:
    """The picture in its 256 most frequent colours; each other one as the nearest of them."""
    height, width, _ = picture.shape
    colours, where, counts = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    palette = colours[np.argsort(-counts)[:256]]
    nearest = np.concatenate(
        [_nearest(part, palette) for part in np.array_split(colours, max(1, len(colours) // 2048))]
    )
    rows = nearest[where.reshape(-1)].reshape(height, width)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # each begins with its filter: none
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", head),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _nearest(colours: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    distances = ((colours[:, None, :].astype(np.int32) - palette[None, :, :].astype(np.int32)) ** 2).sum(axis=2)
    return distances.argmin(axis=1).astype(np.uint8)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
