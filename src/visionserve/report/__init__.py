"""What reports are made of, whatever they report: a page that works offline, its style, and charts in it."""
