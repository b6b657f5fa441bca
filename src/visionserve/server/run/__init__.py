"""What a running server leaves on disk, and what makes sure that it leaves nothing else behind."""
