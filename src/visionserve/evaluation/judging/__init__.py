"""What answers to labelled pictures show."""
