# SPDX-License-Identifier: Apache-2.0
"""libnftables in-process: one text in nft's own language is one transaction, applied whole or not at all."""

from __future__ import annotations

import ctypes
import functools

from lichen.model.errors import Temporary


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        raise Temporary("libnftables is missing: apt-get install libnftables1", delay=30) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    return library


def apply(text: str) -> None:
    """Run one transaction in the network namespace that the thread is in. Temporary if the kernel refuses it."""
    library = _library()
    context = library.nft_ctx_new(0)
    try:
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, text.encode()) != 0:
            said = library.nft_ctx_get_error_buffer(context) or b""
            raise Temporary(f"nftables refused a change: {said.decode(errors='replace').strip()[:400]}")
    finally:
        library.nft_ctx_free(context)
