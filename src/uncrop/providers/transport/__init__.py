"""The transport: sockets, retries, addresses and the breaker, once for all providers."""
