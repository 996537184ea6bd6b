"""Tested fakes as public API: provider emulators, sample pictures."""
