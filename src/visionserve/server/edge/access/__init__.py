"""Who may ask the edge: keys, certificate, and how often."""
