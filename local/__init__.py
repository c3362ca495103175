"""Brings the whole stack up on this machine: emulator, deploy, demo data, handsets. Never part of a deployment."""
