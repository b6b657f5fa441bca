"""What a running server leaves on disk and beside itself, and how it is found: folder, lock, record, warden."""
