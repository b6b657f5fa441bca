"""Bytes on the wire to what is asked, and answers back to bytes; HTTP's statuses and headers live here."""
