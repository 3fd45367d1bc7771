"""How much of all uploads may be in memory at once, and how much of those of one address."""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from serving.models.pool import Busy

#: What a connection that uploads takes besides the body: uvicorn's buffer and a task.
CONNECTION_BYTES = 65_536

#: The network that counts as one address of IPv6: what one customer of a provider has.
IPV6_PREFIX = 64


class Buffers:
    """Bytes of request bodies in memory, over all requests and by address."""

    def __init__(self, *, max_bytes: int, max_body_bytes: int) -> None:
        self.max_bytes = max(max_bytes, max_body_bytes + CONNECTION_BYTES)
        self.max_bytes_of_one = max(self.max_bytes // 2, max_body_bytes + CONNECTION_BYTES)
        self.bytes = 0
        self._by_address: Counter[str] = Counter()

    @contextmanager
    def upload(self, address: str) -> Iterator["Upload"]:
        """Account for one upload; what it adds is free again when the block ends."""
        upload = Upload(self, _network_of(address))
        try:
            upload.add(CONNECTION_BYTES)
            yield upload
        finally:
            self._add(upload.network, -upload.bytes)

    def _add(self, network: str, count: int) -> None:
        self.bytes += count
        self._by_address[network] += count
        if not self._by_address[network]:
            del self._by_address[network]

    def _check(self, network: str, count: int) -> None:
        if self.bytes + count > self.max_bytes:
            raise Busy(
                f"the server is at its limit of {self.max_bytes} bytes of uploads "
                "(FLARE_MAX_BUFFERED_BYTES)"
            )
        if self._by_address[network] + count > self.max_bytes_of_one:
            raise Busy(
                f"uploads from {network} are at the limit of {self.max_bytes_of_one} bytes for "
                "one address (half of FLARE_MAX_BUFFERED_BYTES)"
            )


class Upload:
    """What one request has in memory."""

    def __init__(self, buffers: Buffers, network: str) -> None:
        self._buffers, self.network, self.bytes = buffers, network, 0

    def add(self, count: int) -> None:
        """Count bytes that arrived.

        Raises
        ------
        Busy
            They are more than all uploads, or those of one address, may have.
        """
        self._buffers._check(self.network, count)
        self._buffers._add(self.network, count)
        self.bytes += count


def _network_of(address: str) -> str:
    """Return an IPv4 address itself, and of an IPv6 address its network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)
