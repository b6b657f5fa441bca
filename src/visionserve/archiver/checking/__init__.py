"""Whether what is built is right on the user's own labelled pictures, and what is wrong if it is not."""
