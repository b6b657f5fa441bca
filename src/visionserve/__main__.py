"""`python -m visionserve`: the command line."""

from visionserve.cli import main

main()
