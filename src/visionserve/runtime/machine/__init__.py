"""What this machine has to compute with: cores, instruction sets, devices."""
