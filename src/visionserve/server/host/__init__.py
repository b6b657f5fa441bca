"""The machine that a server runs on, or the part of it that its container has: memory and disks."""
