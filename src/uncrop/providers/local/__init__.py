"""The embedded engine behind the providers' interface: no key, no network, no cost."""
