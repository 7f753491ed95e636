"""nftables by its own library, in process: a command takes a third of a millisecond instead of five."""

from __future__ import annotations

import ctypes
import functools


class NftError(RuntimeError):
    """nftables refused a command."""


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    return library


class Nft:
    """A context of libnftables. It belongs to the network namespace in which it was made, for good."""

    def __init__(self) -> None:
        library = _library()
        self._context = library.nft_ctx_new(0)
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> str:
        """Run commands as one transaction, and return what they print. Raises NftError."""
        library = _library()
        if library.nft_run_cmd_from_buffer(self._context, commands.encode()):
            error = library.nft_ctx_get_error_buffer(self._context) or b""
            raise NftError(error.decode(errors="replace").strip())
        output: bytes = library.nft_ctx_get_output_buffer(self._context) or b""
        return output.decode(errors="replace")
