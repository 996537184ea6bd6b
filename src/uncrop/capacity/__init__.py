"""What the machine has room for: bodies, slots, pixel memory, threads, and answers waiting to be unpacked."""
